"""StreamPoseML's two clients: a window of poses to a classification."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.windows import Resampler
from stream_client.compat.streamposeml.keypoints import Pose, read_pose
from stream_client.compat.streamposeml.mediapipe_client import MediaPipeClient
from stream_client.compat.streamposeml.trained_model import TrainedModel, Transformer
from stream_client.compat.streamposeml.transformer import FRAME_RATE, frame_document, sequence
from stream_client.errors import ConfigurationError, PredictionError

MAX_GAP_MS = 300.0
"""Frames further apart break a window."""


class _Window:
    """The newest ``frame_window`` frames with a person. One without a person, or a gap in time, begins it anew."""

    def __init__(self, frame_window: int, frame_rate: float) -> None:
        _check_frame_window(frame_window)
        if frame_rate <= 0:
            raise ConfigurationError(f"frame_rate is above 0 frames a second, not {frame_rate:g}")
        self.frames: deque[dict[str, Any]] = deque(maxlen=frame_window)
        self._period = round(1e6 / frame_rate)  # whole µs, so that frames without a time fall on the grid
        self._resampler = Resampler(1e6 / self._period, MAX_GAP_MS, most_missing=frame_window)
        self._frames = 0

    def add(self, pose: Pose | None, timestamp: int | None) -> int:
        """Take the pose of a frame; returns how many samples of a fixed rate came of it."""
        if timestamp is None:
            timestamp = self._frames * self._period
        self._frames += 1
        samples = self._resampler.add(timestamp, None if pose is None else pose.points)
        for sample in samples:
            if sample.landmarks is None:
                self.frames.clear()
            else:
                self.frames.append(frame_document(sample.landmarks, pose.size if pose else None))
        return len(samples)

    @property
    def full(self) -> bool:
        return len(self.frames) == self.frames.maxlen


class _Client:
    """What both clients do: keep a window, classify it when it is due."""

    def __init__(
        self,
        *,
        frame_window: int,
        frame_rate: float,
        every: int,
        mediapipe_client_instance: MediaPipeClient | None,
        data_transformer: Transformer | None,
    ) -> None:
        if data_transformer is not None and not callable(getattr(data_transformer, "transform", None)):
            raise ConfigurationError(f"{type(data_transformer).__name__} is no transformer: it has no transform")
        self.frame_window = frame_window
        self.mpc = mediapipe_client_instance
        self.transformer = data_transformer
        self.current_classification: bool | int | str | None = None
        """What the model said of the last window; ``None`` while no window is whole. Numbers 0 and 1 become a bool."""
        self.current_confidence: float | None = None
        """Its probability, 0…1, where the model gives one."""
        self.prediction_processing_time: float | None = None
        """Milliseconds that the last classification took: columns and model."""
        self._window = _Window(frame_window, frame_rate)
        self._every = every
        self._due = 0

    def run_frame_pipeline(self, image: npt.NDArray[np.uint8], timestamp: int | None = None) -> bool:
        """As :meth:`run_keypoint_pipeline`, with the pose found in an image, BGR uint8 [height, width, 3]."""
        if self.mpc is None:
            raise ConfigurationError("run_frame_pipeline needs mediapipe_client_instance=MediaPipeClient()")
        return self._take(self.mpc.find(image), timestamp)

    def run_keypoint_pipeline(self, keypoints: Mapping[str, Any], timestamp: int | None = None) -> bool:
        """Take the keypoints of a frame; whether a window was classified with it.

        See :func:`~stream_client.compat.streamposeml.keypoints.read_pose` for their forms. ``timestamp`` is in µs;
        without it, frames come at the frame rate. Raises :class:`.ConfigurationError` for other keypoints, and
        :class:`.PredictionError` where the transformer or the model fails; then there is no classification.
        """
        return self._take(read_pose(keypoints), timestamp)

    def _take(self, pose: Pose | None, timestamp: int | None) -> bool:
        self._due += self._window.add(pose, timestamp)
        if not self._window.full:
            self._forget()
            return False
        if self._due < self._every:
            return False
        self._due = 0
        begin = time.perf_counter()
        try:
            self.current_classification, self.current_confidence = self._classify()
        except (ConfigurationError, PredictionError):
            self._forget()
            raise
        except Exception as error:  # the program's own transformer and model may raise anything
            self._forget()
            raise PredictionError(f"the classification failed: {type(error).__name__}: {error}") from error
        self.prediction_processing_time = 1000 * (time.perf_counter() - begin)
        return True

    def _forget(self) -> None:
        self.current_classification = self.current_confidence = None

    def _transformed(self, columns: Sequence[str]) -> Any:
        if self.transformer is None:
            raise ConfigurationError("a client that classifies needs data_transformer=SequenceTransformer()")
        answer = self.transformer.transform(data=sequence(self._window.frames), columns=columns)
        return answer[0] if isinstance(answer, tuple) else answer

    def _classify(self) -> tuple[bool | int | str, float | None]:
        raise NotImplementedError


class StreamPoseClient(_Client):
    """Classifies windows of ``frame_window`` frames with a model of this process, one window with each new frame.

    ``frame_rate`` is in frames a second.
    """

    def __init__(
        self,
        frame_window: int = 25,
        mediapipe_client_instance: MediaPipeClient | None = None,
        trained_model: TrainedModel | None = None,
        data_transformer: Transformer | None = None,
        *,
        frame_rate: float = FRAME_RATE,
    ) -> None:
        super().__init__(
            frame_window=frame_window,
            frame_rate=frame_rate,
            every=1,
            mediapipe_client_instance=mediapipe_client_instance,
            data_transformer=data_transformer or (trained_model.data_transformer if trained_model else None),
        )
        self.model = trained_model

    def _classify(self) -> tuple[bool | int | str, float | None]:
        model = self.model
        if model is None:
            raise ConfigurationError("a StreamPoseClient that classifies needs trained_model=TrainedModel()")
        columns = model.columns
        if columns is None:
            raise ConfigurationError(
                "the model's columns are not known: give set_model(model_data={'X_test': …}) or 'feature_names'"
            )
        data = self._transformed(columns)
        if isinstance(data, Mapping):
            data = model.as_input(data)
        label, confidence = as_classification(model.predict(data=data))
        return label, model.confidence(data) if confidence is None else confidence


class MLFlowClient(_Client):
    """Classifies windows with ``predict_fn``, which calls an MLflow server; one window in ``frame_window`` minus
    ``frame_overlap`` frames.

    ``predict_fn`` gets a dictionary of columns and gives MLflow's answer. ``input_example`` names the columns that the
    model takes: any of the transformer's, in any order.
    """

    def __init__(
        self,
        mediapipe_client_instance: MediaPipeClient | None = None,
        trained_model: TrainedModel | None = None,
        data_transformer: Transformer | None = None,
        predict_fn: Callable[[Any], Any] | None = None,
        input_example: Mapping[str, Any] | None = None,
        frame_window: int = 30,
        frame_overlap: int = 5,
        *,
        frame_rate: float = FRAME_RATE,
    ) -> None:
        _check_frame_window(frame_window)
        if not isinstance(frame_overlap, int) or not 0 <= frame_overlap < frame_window:
            raise ConfigurationError(f"frame_overlap is from 0 to {frame_window - 1} frames, not {frame_overlap!r}")
        super().__init__(
            frame_window=frame_window,
            frame_rate=frame_rate,
            every=frame_window - frame_overlap,
            mediapipe_client_instance=mediapipe_client_instance,
            data_transformer=data_transformer,
        )
        self.frame_overlap = frame_overlap
        self.model = trained_model
        self.predict_fn = predict_fn
        if not isinstance(input_example, Mapping | None):
            raise ConfigurationError(f"input_example is {{'columns': […]}}, not {type(input_example).__name__}")
        self.input_example = dict(input_example or {"columns": []})
        self._columns = _names(self.input_example.get("columns"))
        known = getattr(data_transformer, "columns", None)
        if callable(known) and self._columns:
            _check_columns(self._columns, known(frame_window))

    def _classify(self) -> tuple[bool | int | str, float | None]:
        if self.predict_fn is None:
            raise ConfigurationError("an MLFlowClient that classifies needs predict_fn=…")
        return as_classification(self.predict_fn(self._transformed(self._columns)))


def _check_frame_window(frames: object) -> None:
    if not isinstance(frames, int) or frames < 1:
        raise ConfigurationError(f"frame_window is 1 or more frames, not {frames!r}")


def _names(columns: object) -> list[str]:
    if columns is None:
        return []
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise ConfigurationError("input_example: 'columns' is a list of names")
    return [str(name) for name in columns]


def as_classification(answer: Any) -> tuple[bool | int | str, float | None]:
    """The class of the first row of what a model answered, and its probability where the answer holds it.

    A label, a class number, or probabilities by class; alone, in a list, or as MLflow's ``predictions``. Raises
    :class:`.PredictionError` for anything else, such as MLflow's errors: an odd answer is never taken for a class.
    """
    if isinstance(answer, Mapping):
        for key in ("predictions", "prediction"):
            if key in answer:
                return as_classification(answer[key])
        raise PredictionError(f"the model answered no prediction: {str(dict(answer))[:100]}")
    items = answer.tolist() if hasattr(answer, "tolist") else answer
    if isinstance(items, list | tuple):
        if not items:
            raise PredictionError("the model answered an empty list")
        items = items[0]
    if isinstance(items, list | tuple):
        scores = np.asarray(items, dtype=np.float64)
        if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
            raise PredictionError(f"the model answered neither a class nor probabilities: {str(items)[:80]}")
        if len(scores) == 1:
            return as_classification(float(scores[0]))
        best = int(scores.argmax())
        return (bool(best) if len(scores) == 2 else best), float(scores[best])
    if isinstance(items, str):
        return items, None
    if isinstance(items, bool | int | float) and float(items).is_integer():
        return (bool(items) if items in (0, 1) else int(items)), None
    raise PredictionError(f"the model answered neither a class nor probabilities: {str(items)[:80]}")


def _check_columns(columns: Sequence[str], known: Sequence[str]) -> None:
    if unknown := sorted(set(columns) - set(known)):
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise ConfigurationError(f"input_example: no such columns: {', '.join(unknown[:3])}{more}")
