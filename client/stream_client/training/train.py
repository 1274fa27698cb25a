"""Trains a model from labeled clips or tables and writes a version of the model directory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from tqdm import tqdm

from stream_client.classify.models import THRESHOLDS, model_hash, schema_document, thresholds_document
from stream_client.errors import ConfigurationError
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import CANDIDATES, grouped_folds
from stream_client.training.guarding import fit_guard
from stream_client.training.held_out import HeldOut
from stream_client.training.onnx_export import feature_model, pose_model
from stream_client.training.onnx_finish import Finish
from stream_client.training.page import page_html
from stream_client.training.report import confusion_plot, model_card, training_page
from stream_client.training.result import Training
from stream_client.training.selection import Selection
from stream_client.training.strips import StripOptions, worst_mistakes
from stream_client.training.versions import choose_version, new_version
from stream_client.util.wording import listed


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
        selection = Selection(dataset, folds, bar)
        chosen = selection.choose(models)
        careless = selection.careless(chosen)
        guarded = fit_guard(dataset, folds) if options.unknown else None
        bar.update()
    held_out = HeldOut.of(dataset, chosen.scores, guarded)
    finish = Finish(held_out.temperature, None if guarded is None else guarded.guard)
    training = Training(
        out=out,
        version=version,
        name=options.name or out.resolve().name,
        labels=finish.labels(dataset.labels),
        best=chosen.scores,
        results=tuple(chosen.results),
        careless=careless,
        steadiness=chosen.steadiness,
        held_out=held_out,
        model=_exported(chosen.estimator, dataset, finish),
    )
    _write(training, dataset, data, strips)
    return training


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
