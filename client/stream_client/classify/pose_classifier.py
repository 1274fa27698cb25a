"""A classifier over a stream of frames or landmarks."""

import logging
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stream_client.classify.by_track import TrackClassifiers
from stream_client.classify.decision import Decision, DecisionOptions, LabelState, RepetitionCounter
from stream_client.classify.models import Schema, TrainedModel
from stream_client.classify.windows import WindowBuffer, WindowSpec
from stream_client.errors import ConfigurationError, PredictionError
from stream_client.frames import Frame, Label
from stream_client.frames import Landmarks as PersonLandmarks

logger = logging.getLogger(__name__)

Landmarks = npt.NDArray[np.floating]
"""float [33, 3], or [75, 3] with hands; one unit on all axes."""


class PoseClassifier:
    """Landmarks to windows to features to probabilities to a label.

    ``model`` brings its own features and windows; ``schema`` and ``window`` say which ones this program
    computes, and a model trained on others is refused with :class:`.ConfigurationError`. ``landmarks`` finds
    the landmarks of a frame, ``None`` without a person; only :meth:`run_frame_pipeline` needs it. ``counter``
    counts repetitions. Without a ``decision`` the model's own thresholds hold. A model that raises
    :class:`~stream_client.errors.PredictionError` gives ``unknown``, and :attr:`errors` counts it. For one thread at a
    time. As a ``StreamClient``'s classifier it labels a running stream.
    """

    def __init__(
        self,
        model: TrainedModel,
        *,
        landmarks: Callable[[Frame], Landmarks | None] | None = None,
        decision: DecisionOptions | None = None,
        schema: Schema | None = None,
        window: WindowSpec | None = None,
        counter: RepetitionCounter | None = None,
    ) -> None:
        if schema is not None or window is not None:
            model.require(schema or model.schema, window or model.window)
        if model.schema is None:
            raise ConfigurationError("the model takes ready-made columns, not landmarks: call its predict instead")
        self._model = model
        self._schema = model.schema
        self._landmarks = landmarks
        self._decision = Decision(decision or DecisionOptions(labels=model.thresholds))
        self.counter = counter
        """Repetitions so far, if they are counted."""
        self.errors = 0
        """How many predictions failed; each of them was ``unknown``."""
        self.last_error: str | None = None
        self._buffer = WindowBuffer(model.schema, model.window) if model.window else None
        self._time = 0.0
        self._had_person = False
        self.on_label_change = self._decision.on_label_change
        """Event of :class:`~stream_client.classify.decision.LabelChange`."""

    @property
    def model(self) -> TrainedModel:
        """The model; classifiers may share it."""
        return self._model

    @property
    def schema(self) -> Schema:
        """The features that the model takes."""
        return self._schema

    @property
    def current_classification(self) -> str:
        """The label now; ``unknown`` while none is certain."""
        return self._decision.state.label

    @property
    def current_confidence(self) -> float:
        """Its smoothed probability, 0…1."""
        return self._decision.state.confidence

    @property
    def prediction_processing_time(self) -> float:
        """Seconds that the last frame took: resampling, features, model and decision."""
        return self._time

    def for_another(self) -> "PoseClassifier":
        """The same model without a history, for another person of the stream."""
        counter = None if self.counter is None else RepetitionCounter(self.counter.label)
        return PoseClassifier(self._model, decision=self._decision.options, counter=counter)

    def for_persons(self) -> TrackClassifiers:
        """The same classifier for each of several persons."""
        return TrackClassifiers(self.for_another)

    def reset(self) -> None:
        """The stream was interrupted: forget everything before."""
        if self._buffer is not None:
            self._buffer.reset()
        self._decision.update(self._decision.state.time, None)

    def run_frame_pipeline(self, frame: Frame) -> LabelState:
        """Classify a frame of a stream; raises :class:`.ConfigurationError` without a landmark function."""
        if self._landmarks is None:
            raise ConfigurationError("PoseClassifier(landmarks=…) is needed to classify frames")
        return self.run_keypoint_pipeline(self._landmarks(frame), frame.timestamp)

    def classify(self, landmarks: PersonLandmarks | None, timestamp: int) -> Label:
        """The label after a frame of a running stream; ``unknown`` while none is certain."""
        points = None
        if landmarks is not None:
            points = landmarks.world() if getattr(self._schema, "space", "image") == "world" else landmarks.pixels()
        state = self.run_keypoint_pipeline(points, timestamp)
        repetitions = None if self.counter is None else self.counter.count
        return Label(state.label, state.confidence, state.scores, repetitions)

    def hide(self, timestamp: int) -> None:
        """The person is hidden in this frame, but may come back: the label stays, and the window waits.

        ``timestamp`` is in µs.
        """
        if self._buffer is not None:
            self._buffer.hide(timestamp)

    def run_keypoint_pipeline(self, keypoints: Landmarks | None, timestamp: int) -> LabelState:
        """Classify the landmarks of a frame; ``None`` without a person. ``timestamp`` is in µs."""
        begin = time.perf_counter()
        if self._buffer is None:
            row = None
            if keypoints is not None:
                row = self._schema.compute(np.asarray(keypoints)[None], np.zeros(1))[0]
            state = self._decide(timestamp, row)
        else:
            for window in self._buffer.add(timestamp, keypoints):
                self._decide(window.end, window.row)
            if keypoints is None and self._had_person:
                # A person who has left does nothing any more. No full window is needed to say so.
                self._decide(timestamp, None)
            state = self._decision.state
        self._had_person = keypoints is not None
        self._time = time.perf_counter() - begin
        return state

    def _decide(self, timestamp: int, row: npt.NDArray[np.float64] | None) -> LabelState:
        state = self._decision.update(timestamp / 1e6, None if row is None else self._scores(row))
        if self.counter is not None:
            self.counter.update(state)
        return state

    def _scores(self, row: npt.NDArray[np.float64]) -> dict[str, float] | None:
        try:
            return self._model.scores(row)
        except PredictionError as error:
            self.errors += 1
            self.last_error = str(error)
            if self.errors == 1:
                logger.warning("prediction failed, the label is unknown: %s", error)
            return None
