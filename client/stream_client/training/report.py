"""Reports of a training: table, plot, model card."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stream_client.fonts import font_for
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import Matrix, Scores
from stream_client.training.page import Page
from stream_client.training.result import Training
from stream_client.training.strips import Mistake
from stream_client.util.wording import counted

_CELL, _MARGIN = 76, 10


def class_table(dataset: Dataset) -> str:
    """What each label has, a line each: groups, seconds with a person, samples."""
    width = max(len(label) for label in dataset.labels)
    lines = []
    for target, label in enumerate(dataset.labels):
        here = np.flatnonzero(dataset.targets == target)
        sources = (
            {dataset.origins[row].group for row in here} if dataset.origins else set(dataset.groups[here].tolist())
        )
        time = f", {dataset.seconds[target]:.1f} s with a person" if dataset.seconds else ""
        lines.append(f"{label:<{width}}  {counted(len(sources), 'source')}{time}, {counted(len(here), 'sample')}")
    return "\n".join(lines)


def confusion_table(confusion: Matrix, labels: Sequence[str]) -> str:
    """The matrix as text: rows are true labels, columns are predicted labels, the last column is recall."""
    width = max(8, *(len(label) for label in labels))
    lines = [" " * width + "  " + "  ".join(f"{label:>{width}}" for label in labels) + "    recall"]
    for label, row in zip(labels, confusion, strict=True):
        # A label that was never held out has no recall.
        recall = f"{row[list(labels).index(label)] / row.sum():.1%}" if row.sum() else "-"
        lines.append(f"{label:<{width}}  " + "  ".join(f"{count:>{width}}" for count in row) + f"  {recall:>7}")
    return "\n".join(lines)


def confusion_plot(confusion: Matrix, labels: Sequence[str], path: Path) -> None:
    """Draw the matrix as a PNG. A darker cell is a larger share of its true label."""
    font = font_for("".join(labels), 13)
    side = max(int(font.getlength(label)) for label in labels) + 2 * _MARGIN
    count = len(labels)
    plot = Image.new("RGB", (side + _CELL * count + _MARGIN, side + _CELL * count + 30), "white")
    draw = ImageDraw.Draw(plot)
    draw.text((_MARGIN, side + _CELL * count + 8), "rows: true label, columns: predicted", "black", font)
    for row, label in enumerate(labels):
        y = side + row * _CELL
        draw.text((side - _MARGIN, y + _CELL / 2), label, "black", font, anchor="rm")
        upright = Image.new("RGB", (side, 20), "white")
        ImageDraw.Draw(upright).text((_MARGIN, 3), label, "black", font)
        plot.paste(upright.rotate(90, expand=True), (y + _CELL // 2 - 10, 0))
        total = max(1, int(confusion[row].sum()))
        for column in range(count):
            share = float(confusion[row, column] / total)
            x = side + column * _CELL
            shade = tuple(round(255 - share * (255 - end)) for end in (30, 90, 160))
            draw.rectangle((x, y, x + _CELL, y + _CELL), fill=shade, outline="lightgrey")
            ink = "white" if share > 0.5 else "black"
            text = f"{confusion[row, column]}\n{share:.1%}"
            draw.multiline_text((x + _CELL / 2, y + _CELL / 2), text, ink, font, anchor="mm", align="center")
    plot.save(path)


def comparison_table(results: Sequence[Scores], steadiness: Mapping[str, float]) -> str:
    """The models, most accurate first: accuracy, standard error, share of windows with the same label at lower frame
    rates."""
    ordered = sorted(results, key=lambda scores: -scores.accuracy)
    width = max(len(scores.name) for scores in results)
    return "\n".join(
        f"{scores.name:<{width}}  {scores.accuracy:7.2%} {error_text(scores)}"
        + (f"   {steadiness[scores.name]:.1%} the same at lower frame rates" if scores.name in steadiness else "")
        for scores in ordered
    )


def error_text(scores: Scores) -> str:
    """The standard error of the accuracy, which a single fold does not have."""
    return "(a single fold)" if math.isnan(scores.standard_error) else f"± {scores.standard_error:.2%}"


def not_held_out(scores: Scores, labels: Sequence[str]) -> str:
    """A sentence about the labels that the accuracy does not speak of; empty where there are none."""
    missing = [label for label, count in zip(labels, scores.confusion.sum(axis=1), strict=True) if not count]
    return f"No sample of {', '.join(missing)} was held out: the accuracy says nothing about that." if missing else ""


def model_card(training: Training, dataset: Dataset, data: str) -> str:
    """The text of the model's README.md."""
    best, careless, steadiness = training.best, training.careless, training.steadiness
    held_out = training.held_out
    takes = (
        "`pose_landmarks`, FP32 [1, 195]: the raw output of MediaPipe's pose landmark network; the normalization "
        "is part of the model, so a graph on OVMS needs no node for it"
        if dataset.frame
        else f"rows of {dataset.rows.shape[1]} features (see schema.json), FP32 [rows, {dataset.rows.shape[1]}]"
    )
    window = dataset.window
    seen = f"{window.length_ms:g} ms of movement, {window.rate:g} samples a second" if window else "one frame"
    notes = "".join(f"\n- {warning}" for warning in dataset.warnings)
    steady = (
        ""
        if best.name not in steadiness
        else "\n**Frame rates.** Of the models within two standard errors of the most accurate it is the steadiest.\n"
        f"In the training clips, labels are the same after {steadiness[best.name]:.1%} of the windows when\n"
        "only every second or third of the frames is used, landmarks are found in these, and some noise is added.\n"
    )
    return f"""# {training.name}, version {training.version}: {", ".join(training.labels)}

| | |
|---|---|
| input | {takes} |
| output | `scores`, FP32: probabilities, in the order of `labels.txt` |
| sees | {"a trajectory, as columns" if dataset.schema is None else seen} |
| model | {best.name} |
| data | {data}: {counted(len(dataset.rows), "sample")}, {counted(dataset.group_count, "group")} |

**Accuracy** {best.accuracy:.2%}, cross-validated in {len(best.folds)} folds that never split a {dataset.split}.
Folds by row, which may put the same {dataset.split} on both sides, would have claimed {careless.accuracy:.2%}.
{not_held_out(best, dataset.labels)}

```
{confusion_table(best.confusion, dataset.labels)}
```
{steady}
Compared on the same folds, with the standard error:

```
{comparison_table(training.results, steadiness)}
```

**Probabilities.** They were calibrated on held-out samples: the expected calibration error is
{held_out.errors[1]:.1%}, before it was {held_out.errors[0]:.1%} (temperature {held_out.temperature:.2f}).
`thresholds.json` has the probabilities at which a stream enters and leaves a label.

**Unknown.** {_unknown(training)}

**Limits.** Check the license of the data before you pass the model on.{notes}
"""


def training_page(training: Training, dataset: Dataset, data: str, mistakes: Sequence[Mistake]) -> Page:
    """The report of a training."""
    best, held_out = training.best, training.held_out
    facts = [
        ("model", best.name),
        ("data", f"{data}: {counted(len(dataset.rows), 'sample')}, {counted(dataset.group_count, 'group')}"),
        ("held out", f"by {dataset.split}, in {counted(len(best.folds), 'fold')}"),
        ("accuracy", f"{best.accuracy:.2%} {error_text(best)} {not_held_out(best, dataset.labels)}".rstrip()),
        ("by row it would be", f"{training.careless.accuracy:.2%}"),
        ("given up as unknown", f"{held_out.unknown_share:.1%} of the samples of known labels"),
    ]
    if best.name in training.steadiness:
        facts.append(("at lower frame rates", f"{training.steadiness[best.name]:.1%} of the labels are the same"))
    title = f"{training.name}, version {training.version}"
    return Page(title, facts, dataset.warnings, comparison_table(training.results, training.steadiness), mistakes)


def _unknown(training: Training) -> str:
    held_out = training.held_out
    if training.labels == held_out.labels and "unknown" not in training.labels:
        return "The model knows only these labels: for any input, the probabilities add up to 1."
    left_out = "".join(f"\n- without `{label}`: {share:.0%}" for label, share in held_out.left_out.items())
    shares = (
        f" Of a label that was left out of the training, this share of samples became `unknown`:{left_out}"
        if left_out
        else ""
    )
    return f"{held_out.unknown_share:.1%} of the held-out samples of known labels became `unknown`.{shares}"
