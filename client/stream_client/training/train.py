"""Trains a model from labelled clips or tables and writes the model directory."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stream_client.classify.decision import UNKNOWN, Decision
from stream_client.classify.features import FeatureSchema
from stream_client.classify.models import TrainedModel, model_hash, schema_document
from stream_client.classify.windows import Window, WindowSpec
from stream_client.errors import ConfigurationError
from stream_client.training.clips import LandmarkFinder, find_clips
from stream_client.training.dataset import Dataset, Integers
from stream_client.training.estimators import (
    CANDIDATES,
    Matrix,
    Scores,
    calm,
    cross_validate,
    equally_accurate,
    fit,
    grouped_folds,
    random_folds,
)
from stream_client.training.landmarks import GraphServerLandmarks
from stream_client.training.onnx_export import feature_model, pose_model
from stream_client.training.report import confusion_plot, model_card
from stream_client.training.result import Training
from stream_client.training.tables import read_table
from stream_client.training.windows import clips_dataset


def load_dataset(
    data: Path,
    *,
    schema: FeatureSchema | None = None,
    window: WindowSpec | None = None,
    labels: Sequence[str] | None = None,
    background: str | None = UNKNOWN,
    names: dict[str, str] | None = None,
    group_by: str | None = None,
    models_dir: Path | None = None,
    find: LandmarkFinder | None = None,
) -> Dataset:
    """The samples of ``data``: a table, an annotation file or a folder of clips.

    ``window`` cuts clips into windows. ``None`` uses single frames. ``background`` names a class for the
    unlabelled time of annotated clips. ``None`` skips that time.
    ``group_by`` finds the person or session in a name (:func:`~stream_client.training.dataset.group_of`).
    ``models_dir`` is the graph server's model repository. ``find`` replaces the graph server. Raises
    :class:`~stream_client.errors.StreamClientError`.
    """
    if not data.exists():
        raise ConfigurationError(f"{data} does not exist", option="data")
    if data.suffix.lower() == ".csv":
        return read_table(data, names, group_by)
    schema = schema or FeatureSchema()
    with GraphServerLandmarks(space=schema.space, models_dir=models_dir) as server:
        return clips_dataset(find_clips(data), find or server, schema, window, labels, background, group_by)


def train(dataset: Dataset, out: Path, *, data: str, models: Sequence[str] = (), name: str = "") -> Training:
    """Compare ``models`` (default: all) on the same folds, train the best on all data, write ``out``.

    The best model is the most accurate. For clips it is the steadiest over frame rates of all within two of its
    standard errors.

    ``out`` receives ``1/NAME.onnx``, ``labels.txt``, ``schema.json``, ``README.md`` and ``confusion.png``.
    ``data`` is the source of the samples, for the model card.
    """
    chosen = list(models) or list(CANDIDATES)
    if unknown := set(chosen) - CANDIDATES.keys():
        raise ConfigurationError(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(CANDIDATES)}")
    folds, careless_folds = grouped_folds(dataset), random_folds(dataset)
    results = []
    with tqdm(total=(len(chosen) + 1) * len(folds) + 1, unit="fold", disable=None) as bar:

        def validate(model: str, parts: list[tuple[Integers, Integers]]) -> Scores:
            bar.set_description(model)
            done: list[Matrix] = []
            for fold in cross_validate(model, dataset, parts):
                done.append(fold)
                bar.update()
            return Scores(model, tuple(done))

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
    name = name or out.name
    card = model_card(
        name=name, dataset=dataset, data=data, best=best, results=results, careless=careless, steadiness=steady
    )
    try:
        _write(out / "1" / f"{name}.onnx", model.SerializeToString())
        _write(out / "labels.txt", ("\n".join(dataset.labels) + "\n").encode())
        _write(out / "schema.json", schema_document(dataset.schema, dataset.window, dataset.columns).encode())
        _write(out / "README.md", card.encode())
        confusion_plot(best.confusion, dataset.labels, out / "confusion.png")
    except OSError as error:
        raise ConfigurationError(f"cannot write {out}: {error.strerror}", option="out") from error
    return Training(out, dataset.labels, best, tuple(results), careless, steady, model)


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


def _write(path: Path, content: bytes) -> None:
    """Write atomically, so that a server that watches the folder never reads half a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    scratch.write_bytes(content)
    os.replace(scratch, path)
