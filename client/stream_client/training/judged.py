"""What a trained model says about new clips, for its report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.classify.features import FeatureSchema
from stream_client.classify.models import TrainedModel
from stream_client.classify.raw_pose import RawPose
from stream_client.errors import ConfigurationError
from stream_client.training.calibration import calibration_error
from stream_client.training.clips import FindLandmarks, LabelledClip
from stream_client.training.dataset import Dataset
from stream_client.training.held_out import HeldOut
from stream_client.training.page import Page, page_html
from stream_client.training.strips import StripOptions, worst_mistakes
from stream_client.training.windows import ClipOptions, clips_dataset


def evaluation_html(
    model: TrainedModel, clips: Sequence[LabelledClip], find: FindLandmarks, title: str, *, pictures: bool = True
) -> str:
    """The report of a model on labeled clips. Raises :class:`~stream_client.errors.StreamClientError`."""
    dataset = _dataset(model, clips, find)
    judged = _judged(model, dataset)
    right = float(np.mean(judged.probabilities.argmax(axis=1) == judged.targets))
    facts = [("clips", str(len(clips))), ("samples", str(len(dataset.rows))), ("right", f"{right:.2%}")]
    mistakes = worst_mistakes(dataset, judged, StripOptions(find, pictures))
    return page_html(Page(title, facts, dataset.warnings, "", mistakes), dataset, judged)


def write_evaluation(text: str, path: Path) -> None:
    """Write the report. Raises :class:`.ConfigurationError`."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", option="report") from error


def _dataset(model: TrainedModel, clips: Sequence[LabelledClip], find: FindLandmarks) -> Dataset:
    schema = model.schema if isinstance(model.schema, FeatureSchema) else FeatureSchema()
    options = ClipOptions(schema=schema, window=model.window, vary=False, fewest_labels=1)
    found = clips_dataset(clips, find, options)
    targets = np.array([model.labels.index(found.labels[target]) for target in found.targets], dtype=np.intp)
    return replace(found, labels=model.labels, targets=targets, seconds=())


def _judged(model: TrainedModel, dataset: Dataset) -> HeldOut:
    rows: npt.NDArray[np.floating] = dataset.rows
    if dataset.frame:
        along, across, depth = dataset.rows.astype(np.float64).reshape(len(rows), 3, -1).transpose(1, 0, 2)
        # The model aligns poses itself: upright ones of torso length 1 stay as they are.
        rows = RawPose().compute(np.stack([-across, -along, depth], axis=2), np.zeros(len(rows)))
    probabilities = model.predict(rows)
    error, points = calibration_error(probabilities, dataset.targets)
    return HeldOut(
        labels=model.labels,
        rows=np.arange(len(rows)),
        targets=dataset.targets,
        probabilities=probabilities,
        temperature=1.0,
        errors=(error, error),
        calibration=tuple(points),
        thresholds=model.thresholds,
    )
