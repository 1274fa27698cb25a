"""The report of a training or an evaluation: one HTML file without requests to other hosts."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from stream_client.training.dataset import Dataset
from stream_client.training.estimators import shares_of
from stream_client.training.held_out import HeldOut
from stream_client.training.strips import Mistake
from stream_client.util.wording import counted

_TEMPLATE = "report.html"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """What a label has, and how well it is known. Shares are NaN where nothing was held out."""

    label: str
    sources: int
    seconds: float | None
    samples: int
    recall: float
    precision: float
    enter: float | None
    exit: float | None


@dataclass(frozen=True, slots=True)
class ClipRow:
    """What a clip was taken for."""

    name: str
    label: str
    samples: int
    right: float
    taken_for: str


@dataclass(frozen=True, slots=True)
class Page:
    """What the report says beside the held-out rows."""

    title: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    comparison: str
    mistakes: Sequence[Mistake]


def page_html(page: Page, dataset: Dataset, held_out: HeldOut) -> str:
    """The text of the file."""
    environment = Environment(
        loader=PackageLoader("stream_client.training"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = _percent
    return environment.get_template(_TEMPLATE).render(
        page=page,
        labels=label_rows(dataset, held_out),
        confusion=confusion_rows(dataset, held_out),
        columns=held_out.labels,
        calibration=held_out.calibration,
        errors=held_out.errors,
        temperature=held_out.temperature,
        left_out=held_out.left_out,
        clips=clip_rows(dataset, held_out),
    )


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.1%}"


def label_rows(dataset: Dataset, held_out: HeldOut) -> list[LabelRow]:
    """A row for each label of the data."""
    confusion = held_out.confusion
    right = np.diag(confusion)
    recall, precision = (shares_of(right, confusion.sum(axis=axis)) for axis in (1, 0))
    rows = []
    for target, label in enumerate(dataset.labels):
        here = np.flatnonzero(dataset.targets == target)
        sources = (
            {dataset.origins[row].group for row in here} if dataset.origins else set(dataset.groups[here].tolist())
        )
        thresholds = held_out.thresholds.get(label)
        rows.append(
            LabelRow(
                label,
                len(sources),
                dataset.seconds[target] if dataset.seconds else None,
                len(here),
                recall[target],
                precision[target],
                None if thresholds is None else thresholds.enter,
                None if thresholds is None else thresholds.exit,
            )
        )
    return rows


def confusion_rows(dataset: Dataset, held_out: HeldOut) -> list[tuple[str, list[tuple[int, float]]]]:
    """For each label its predictions: counts, and shares of the label."""
    rows = []
    for label, counts in zip(held_out.labels, held_out.confusion.tolist(), strict=True):
        if label in dataset.labels:
            total = max(1, sum(counts))
            rows.append((label, [(count, count / total) for count in counts]))
    return rows


def clip_rows(dataset: Dataset, held_out: HeldOut) -> list[ClipRow]:
    """Each clip with a held-out row, worst first."""
    if not dataset.origins:
        return []
    guesses = held_out.probabilities.argmax(axis=1)
    by_clip: dict[tuple[str, int], Counter[int]] = {}
    for row, target, guess in zip(held_out.rows.tolist(), held_out.targets.tolist(), guesses.tolist(), strict=True):
        origin = dataset.origins[row]
        by_clip.setdefault((origin.path or origin.group, target), Counter())[guess] += 1
    rows = [
        ClipRow(
            name,
            held_out.labels[target],
            counts.total(),
            counts[target] / counts.total(),
            ", ".join(f"{held_out.labels[guess]} {counted(count, 'time')}" for guess, count in counts.most_common()),
        )
        for (name, target), counts in by_clip.items()
    ]
    return sorted(rows, key=lambda row: (row.right, row.name))
