"""What a Roboflow ``Stream`` takes as its model: a servable, a function, or an object with ``predict``."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError, ProtocolError
from stream_client.frames import Detections, Frame, Image, Result
from stream_client.pipeline.connector import Connector
from stream_client.pipeline.plan import Processing
from stream_client.processing.requests import converter
from stream_client.tracking.layouts import arrays_of, find_layout
from stream_client.tracking.options import DetectionOptions
from stream_client.tracking.reader import DetectionReader, open_tracker
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.base import Request
from stream_client.transport.function import FunctionTransport
from stream_client.transport.one_by_one import OneByOne
from stream_client.transport.options import TransportOptions
from stream_client.transport.session import own_session

_WARM_UP_SIDE = 640
"""Pixels of the black frame that every model sees before the run, as in Roboflow's ``init_infer``."""
_TIMEOUT = 60.0
_WAITING = 256
"""Answers that wait for the result of their frame, at most."""


class Model(Protocol):
    """What the stream needs of a model."""

    server: Connector
    processing: Processing

    def warm_up(self) -> None:
        """Let the model see a frame, so that the run's first one does not pay for what is done once."""

    def predictions(self, result: Result) -> Mapping[str, Any]:
        """What the callback gets for a frame, beside its number and size."""

    def close(self) -> None:
        """Release what the model holds. Safe twice."""


class ServableModel:
    """A graph or model on a server: detections where its tensors are some, else its label."""

    def __init__(self, name: str, address: str, options: DetectionOptions, class_names: Sequence[str] = ()) -> None:
        self._options = options
        self._names = class_names
        self._embedded = EmbeddedServer(servable=name) if address == EMBEDDED else None
        self._transport = TransportOptions(address, model_name=name)
        self.server = Connector(self._transport, self._embedded)
        self.processing = Processing(label_names=class_names or None)

    def warm_up(self) -> None:
        """A black frame there and back; its outputs show whether they are detections."""
        session = self.server.connect().session
        if not session.servable.is_graph:  # OVMS streams to graphs only
            self.server = replace(self.server, transport=replace(self._transport, api="unary"))
            session = self.server.connect().session
        reader = DetectionReader(self._options, class_names=self._names, tracker=open_tracker(self._options))
        image = np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8)
        width, height = session.image_format.width, session.image_format.height
        if width is not None and height is not None:
            image = reader.fit(image, width, height)
        frame = Frame(0, time.time_ns() // 1000, image, time.monotonic())
        request = Request(frame.timestamp, converter(session, ())(frame))
        conversation = OneByOne(session, timeout=_TIMEOUT)
        conversation.open()
        try:
            _, outputs = conversation.ask(request, conversation.encode(request))
        finally:
            conversation.close()
        try:
            find_layout(arrays_of(outputs))
        except ConfigurationError:
            return  # a graph that draws and labels
        self.processing = Processing(detector=reader)

    def predictions(self, result: Result) -> Mapping[str, Any]:
        """Boxes by their centers, as Roboflow gives them, or the label with the scores of all."""
        if result.detections is not None:
            return {"predictions": _boxes(result.detections)}
        if result.label is None:
            return {"predictions": []}
        scores = {name: {"confidence": score} for name, score in result.label.scores.items()}
        return {"predictions": scores, "top": result.label.name, "confidence": result.label.score}

    def close(self) -> None:
        """End the local server, if there is one."""
        self.server.close()


class OwnModel:
    """A function of a frame: its answers go past the pipeline, to the result of their frame."""

    def __init__(self, predict: Callable[[Image], Any]) -> None:
        self._predict = predict
        self._answers: dict[int, Any] = {}
        self._lock = threading.Lock()
        self.server = Connector(own_session(FunctionTransport(self._answer), "model"))
        self.processing = Processing()

    def warm_up(self) -> None:
        """Call the function with a black frame. Raises :class:`.ProtocolError` where it fails."""
        try:
            self._predict(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8))
        except Exception as error:  # the program's own function may raise anything
            raise ProtocolError(
                f"the model function failed on the black frame before the run: {type(error).__name__}: {error}"
            ) from error

    def predictions(self, result: Result) -> Mapping[str, Any]:
        """What the function answered."""
        with self._lock:
            answer = self._answers.pop(result.frame.timestamp, None)
        return answer if isinstance(answer, Mapping) else {"predictions": answer}

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, request: Request) -> Mapping[str, Any]:
        answer = self._predict(request.inputs[0].array)
        with self._lock:
            self._answers[request.timestamp] = answer
            while len(self._answers) > _WAITING:  # of frames that no result came of
                del self._answers[next(iter(self._answers))]
        return {"answered": np.ones(1, np.int64)}


def own_model(model: Any, options: DetectionOptions, channel_order: str) -> OwnModel:
    """The model that a program gives; raises :class:`.ConfigurationError` for what is none."""
    if callable(getattr(model, "predict", None)) and callable(getattr(model, "postprocess", None)):
        return OwnModel(_with_postprocess(model, options))
    if callable(model) and not isinstance(model, type):
        return OwnModel(model if channel_order == "RGB" else lambda image: model(_bgr(image)))
    raise ConfigurationError(
        f"{type(model).__name__} is no model: give a servable's name, a function of a frame, or an object with "
        "predict and postprocess"
    )


def _with_postprocess(model: Any, options: DetectionOptions) -> Callable[[Image], Any]:
    """As Roboflow calls its models: a BGR frame, ``preprocess`` where there is one, ``predict``, ``postprocess``."""
    thresholds = {
        "class_agnostic_nms": options.class_agnostic_nms,
        "confidence": options.confidence,
        "iou_threshold": options.iou_threshold,
        "max_candidates": options.max_candidates,
        "max_detections": options.max_detections,
    }

    def predict(image: Image) -> Any:
        frame = _bgr(image)
        prepared, size = model.preprocess(frame) if hasattr(model, "preprocess") else (frame, frame.shape[:2])
        answers = model.postprocess(model.predict(prepared), size, **thresholds)
        answer = answers[0] if isinstance(answers, list | tuple) else answers
        return answer.dict(by_alias=True, exclude_none=True) if hasattr(answer, "dict") else answer

    return predict


def _bgr(image: Image) -> Image:
    return np.ascontiguousarray(image[:, :, ::-1])


def _boxes(detections: Detections) -> list[dict[str, Any]]:
    rows = []
    for index, (left, top, right, bottom) in enumerate(detections.boxes.tolist()):
        row = {
            "x": (left + right) / 2,
            "y": (top + bottom) / 2,
            "width": right - left,
            "height": bottom - top,
            "confidence": float(detections.scores[index]),
            "class": detections.name(index),
            "class_id": int(detections.class_ids[index]),
        }
        if detections.track_ids is not None:
            row["tracker_id"] = int(detections.track_ids[index])
        rows.append(row)
    return rows
