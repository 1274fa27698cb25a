"""Trains a model from labelled clips or tables and writes a version of the model directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stream_client.classify.decision import Decision
from stream_client.classify.models import TrainedModel, model_hash, schema_document
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
from stream_client.training.onnx_export import feature_model, pose_model
from stream_client.training.report import confusion_plot, model_card
from stream_client.training.result import Training
from stream_client.training.versions import choose_version, new_version


def train(
    dataset: Dataset, out: Path, *, data: str, models: Sequence[str] = (), name: str = "", version: int | None = None
) -> Training:
    """Compare ``models`` (default: all) on the same folds, train the best on all data, write a version of ``out``.

    The best model is the most accurate. For clips it is the steadiest over frame rates of all within two of its
    standard errors.

    ``out`` receives a folder with the number ``version``, or the next one. It has ``NAME.onnx``, ``labels.txt``,
    ``schema.json``, ``README.md`` and ``confusion.png``. ``data`` is the source of the samples, for the model card.
    """
    chosen = list(models) or list(CANDIDATES)
    if unknown := set(chosen) - CANDIDATES.keys():
        raise ConfigurationError(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(CANDIDATES)}")
    version = choose_version(out, version)
    folds, careless_folds = grouped_folds(dataset), random_folds(dataset)
    with tqdm(total=(len(chosen) + 1) * len(folds) + 1, unit="fold", disable=None) as bar:

        def validate(model: str, parts: Sequence[Fold]) -> Scores:
            bar.set_description(model)
            judged = []
            for fold in cross_validate(model, dataset, parts):
                judged.append(fold)
                bar.update()
            return scores_of(model, dataset, judged)

        results = [validate(model, folds) for model in chosen]
        finalists = equally_accurate(results)[: None if dataset.streams else 1]
        with calm():
            fitted = {scores.name: fit(scores.name, dataset, np.arange(len(dataset.rows))) for scores in finalists}
        steady = {name: steadiness(estimator, dataset) for name, estimator in fitted.items() if dataset.streams}
        best = max(finalists, key=lambda scores: steady.get(scores.name, 0.0))
        estimator = fitted[best.name]
        careless = validate(best.name, careless_folds)
        bar.update()
    digest = model_hash(dataset.schema, dataset.window, dataset.columns)
    model = (
        pose_model(estimator, dataset.labels, digest)
        if dataset.frame
        else feature_model(estimator, dataset.labels, dataset.rows.shape[1], digest)
    )
    name = name or out.resolve().name
    card = model_card(
        name=name, dataset=dataset, data=data, best=best, results=results, careless=careless, steadiness=steady
    )
    with new_version(out, version) as folder:
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        (folder / "labels.txt").write_text("\n".join(dataset.labels) + "\n", encoding="utf-8")
        schema = schema_document(dataset.schema, dataset.window, dataset.columns)
        (folder / "schema.json").write_text(schema, encoding="utf-8")
        (folder / "README.md").write_text(card, encoding="utf-8")
        confusion_plot(best.confusion, dataset.labels, folder / "confusion.png")
    return Training(out, version, dataset.labels, best, tuple(results), careless, steady, model)


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
