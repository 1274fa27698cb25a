"""Trains a model from labeled clips or tables and writes a version of the model directory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tqdm import tqdm

from stream_client.classify.decision import Decision
from stream_client.classify.models import THRESHOLDS, TrainedModel, model_hash, schema_document, thresholds_document
from stream_client.classify.windows import Window
from stream_client.errors import ConfigurationError
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import (
    CANDIDATES,
    Fold,
    Scores,
    calm,
    cross_validate,
    equally_accurate,
    fit,
    grouped_folds,
    random_folds,
    scores_of,
)
from stream_client.training.guarding import fit_guard
from stream_client.training.held_out import HeldOut
from stream_client.training.onnx_export import feature_model, pose_model
from stream_client.training.onnx_finish import Finish
from stream_client.training.page import page_html
from stream_client.training.report import confusion_plot, model_card, training_page
from stream_client.training.result import Training
from stream_client.training.strips import StripOptions, worst_mistakes
from stream_client.training.versions import choose_version, new_version
from stream_client.util.wording import listed

_AS_STEADY = 0.02
"""A more accurate model may agree with itself at lower frame rates by this share less, and not by more."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train. ``models`` are compared (default: all). ``unknown``: what was never shown becomes ``unknown``.

    ``name`` is the model's (default: that of the directory). ``version`` is the one to write (default: the next).
    """

    models: tuple[str, ...] = ()
    unknown: bool = True
    name: str = ""
    version: int | None = None

    def __post_init__(self) -> None:
        if absent := set(self.models) - CANDIDATES.keys():
            raise ConfigurationError(f"no such model: {listed(sorted(absent))}; there are {', '.join(CANDIDATES)}")


def train(
    dataset: Dataset,
    out: Path,
    options: TrainOptions | None = None,
    *,
    data: str,
    strips: StripOptions | None = None,
) -> Training:
    """Compare models on the same folds, train the best on all data, write a version of ``out``.

    The best model is the most accurate. For clips it is the steadiest over frame rates of all within two of its
    standard errors. It is compared with itself without augmented rows. Its probabilities are calibrated on held-out
    rows, and so are the thresholds.

    A version has ``NAME.onnx``, ``labels.txt``, ``schema.json``, ``thresholds.json``, ``README.md``, ``report.html``
    and ``confusion.png``. ``data`` is the source of the samples, for the model card. ``strips`` shows mistakes in
    clips.
    """
    options = options or TrainOptions()
    version = choose_version(out, options.version)
    folds = grouped_folds(dataset)
    models = options.models or tuple(CANDIDATES)
    with tqdm(total=(len(models) + 2) * len(folds) + 1, unit="fold", disable=None) as bar:

        def validate(model: str, parts: Sequence[Fold], of: Dataset = dataset) -> Scores:
            bar.set_description(model)
            judged = []
            for fold in cross_validate(model, of, parts):
                judged.append(fold)
                bar.update()
            return scores_of(model, of, judged)

        results = [validate(model, folds) for model in models]
        finalists = equally_accurate(results)[: None if dataset.streams else 1]
        with calm():
            fitted = {scores.name: fit(scores.name, dataset, np.arange(len(dataset.rows))) for scores in finalists}
        steady = {name: steadiness(estimator, dataset) for name, estimator in fitted.items() if dataset.streams}
        best = max(finalists, key=lambda scores: steady.get(scores.name, 0.0))
        estimator, used = fitted[best.name], dataset
        if dataset.extra_rows is not None and len(dataset.extra_rows):
            plain = without_augmentation(dataset)
            other = validate(best.name, folds, plain)
            results.append(replace(other, name=f"{best.name}, plain"))
            if other.accuracy > best.accuracy + np.nan_to_num(best.standard_error):
                with calm():
                    unvaried = fit(best.name, plain, np.arange(len(plain.rows)))
                if dataset.streams:
                    steady[results[-1].name] = steadiness(unvaried, dataset)
                # A model that holds at one frame rate only is not the better one.
                if steady.get(results[-1].name, 1.0) >= steady.get(best.name, 1.0) - _AS_STEADY:
                    estimator, best, used = unvaried, results[-1], plain
        careless = validate(best.name.removesuffix(", plain"), random_folds(dataset), used)
        guarded = fit_guard(dataset, folds) if options.unknown else None
        bar.update()
    held_out = HeldOut.of(dataset, best, guarded)
    finish = Finish(held_out.temperature, None if guarded is None else guarded.guard)
    training = Training(
        out=out,
        version=version,
        name=options.name or out.resolve().name,
        labels=finish.labels(dataset.labels),
        best=best,
        results=tuple(results),
        careless=careless,
        steadiness=steady,
        held_out=held_out,
        model=_exported(estimator, dataset, finish),
    )
    _write(training, dataset, data, strips)
    return training


def without_augmentation(dataset: Dataset) -> Dataset:
    """The same rows without varied ones."""
    return replace(dataset, extra_rows=None, extra_targets=None, extra_groups=None)


def _exported(estimator: Any, dataset: Dataset, finish: Finish) -> onnx.ModelProto:
    digest = model_hash(dataset.schema, dataset.window, dataset.columns)
    if dataset.frame:
        return pose_model(estimator, dataset.labels, digest, finish)
    return feature_model(estimator, dataset.labels, dataset.rows.shape[1], digest, finish)


def _write(training: Training, dataset: Dataset, data: str, strips: StripOptions | None) -> None:
    schema = schema_document(dataset.schema, dataset.window, dataset.columns)
    page = training_page(training, dataset, data, worst_mistakes(dataset, training.held_out, strips))
    report = page_html(page, dataset, training.held_out)
    with new_version(training.out, training.version) as folder:
        (folder / f"{training.name}.onnx").write_bytes(training.model.SerializeToString())
        (folder / "labels.txt").write_text("\n".join(training.labels) + "\n", encoding="utf-8")
        (folder / "schema.json").write_text(schema, encoding="utf-8")
        (folder / THRESHOLDS).write_text(thresholds_document(training.held_out.thresholds), encoding="utf-8")
        (folder / "README.md").write_text(model_card(training, dataset, data), encoding="utf-8")
        confusion_plot(training.best.confusion, dataset.labels, folder / "confusion.png")
        (folder / "report.html").write_text(report, encoding="utf-8")


def steadiness(estimator: Any, dataset: Dataset) -> float:
    """The share of the clips' windows with the same label at lower frame rates."""
    model = TrainedModel.from_estimator(estimator, dataset.labels)
    same = []
    for first, *slower in ([decided(model, windows) for windows in rates] for rates in dataset.streams):
        same += [other[end] == label for other in slower for end, label in first.items() if end in other]
    return float(np.mean(same)) if same else 0.0


def decided(model: TrainedModel, windows: Sequence[Window]) -> dict[int, str]:
    """The label after each window. The key is the window's end in µs."""
    known = [window.row for window in windows if window.row is not None]
    scores = iter(model.predict(np.stack(known)).tolist() if known else ())
    decision = Decision()
    return {
        window.end: decision.update(
            window.end / 1e6, None if window.row is None else dict(zip(model.labels, next(scores), strict=True))
        ).label
        for window in windows
    }
