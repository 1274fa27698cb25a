"""Roboflow's ``Stream``: its constructor, settings and callbacks, over this project's client."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.collect.factory import open_collector
from stream_client.collect.options import CollectOptions
from stream_client.compat.roboflow_models import Model, ServableModel, own_model
from stream_client.errors import ConfigurationError, UndefinedError
from stream_client.frames import Result
from stream_client.monitoring.summary import Summary
from stream_client.options import RunOptions
from stream_client.pipeline.plan import Plan
from stream_client.pipeline.supervisor import RunEvents, Supervisor
from stream_client.processing.labels import read_label_names
from stream_client.sinks.base import Sink
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.tracking.options import DetectionOptions
from stream_client.transport.addresses import EMBEDDED
from stream_client.util.events import Event, Unsubscribe

logger = logging.getLogger(__name__)

Predictions = dict[str, Any]
OnPrediction = Callable[[Predictions, npt.NDArray[np.uint8]], object]


class Stream:
    """A stream with a callback for each frame's predictions. It runs from its constructor on.

    ``source``: a camera's number, ``"webcam"``, a file or a URL. ``model``: the id of a servable on ``grpc_address``
    (by default a local graph server), a function of a frame, or an object with ``predict`` and ``postprocess``.
    What is left out comes from the environment: ``STREAM_ID``, ``MODEL_ID``, ``CONFIDENCE``, ``IOU_THRESHOLD``,
    ``CLASS_AGNOSTIC_NMS``, ``MAX_CANDIDATES``, ``MAX_DETECTIONS``, ``ENABLE_BYTE_TRACK``, ``ENFORCE_FPS``,
    ``GRPC_ADDRESS``, ``LABELS`` (a file of class names). ``enforce_fps`` reads a file at its own rate. ``api_key`` is
    accepted and not used: no model is fetched from anywhere. With ``ACTIVE_LEARNING_ENABLED`` and a servable, frames of
    which it is unsure are kept in the folder ``ACTIVE_LEARNING_DIR`` (``active_learning``), as by ``--collect``.

    ``on_prediction(predictions, frame)`` gets a dictionary (``predictions``, ``image``, ``frame_id``, ``time``) and the
    frame, uint8 [height, width, 3] in ``output_channel_order``. An exception in a callback is logged; the stream goes
    on. With ``use_main_thread`` the constructor returns at the stream's end, and raises what ended it else.
    """

    def __init__(
        self,
        api_key: str | None = None,
        class_agnostic_nms: bool | None = None,
        confidence: float | None = None,
        enforce_fps: bool | None = None,
        iou_threshold: float | None = None,
        max_candidates: int | None = None,
        max_detections: int | None = None,
        model: str | Callable[..., Any] | object | None = None,
        source: int | str | None = None,
        use_bytetrack: bool | None = None,
        use_main_thread: bool = False,
        output_channel_order: str = "RGB",
        on_prediction: OnPrediction | None = None,
        on_start: Callable[[], object] | None = None,
        on_stop: Callable[[], object] | None = None,
        *,
        grpc_address: str | None = None,
    ) -> None:
        if output_channel_order not in ("RGB", "BGR"):
            raise ConfigurationError(f"output_channel_order is RGB or BGR, not {output_channel_order!r}")
        stream = _given(source, "STREAM_ID", str)
        self.stream_id = "webcam" if stream == "webcam" else stream
        self.model_id = model if model is not None else os.environ.get("MODEL_ID")
        if self.stream_id is None:
            raise UndefinedError("STREAM_ID is not defined: give source=…")
        if not self.model_id:
            raise UndefinedError("MODEL_ID is not defined: give model=…")
        tracked = _given(use_bytetrack, "ENABLE_BYTE_TRACK", _flag)
        given = {
            "class_agnostic_nms": _given(class_agnostic_nms, "CLASS_AGNOSTIC_NMS", _flag),
            "confidence": _given(confidence, "CONFIDENCE", float),
            "iou_threshold": _given(iou_threshold, "IOU_THRESHOLD", float),
            "max_candidates": _given(max_candidates, "MAX_CANDIDATES", int),
            "max_detections": _given(max_detections, "MAX_DETECTIONS", int),
        }
        self.options = DetectionOptions(
            detections="auto",
            tracker="bytetrack" if tracked else "none",
            **{name: value for name, value in given.items() if value is not None},
        )
        self.api_key = api_key
        self.confidence, self.iou_threshold = self.options.confidence, self.options.iou_threshold
        self.class_agnostic_nms = self.options.class_agnostic_nms
        self.max_candidates, self.max_detections = self.options.max_candidates, self.options.max_detections
        self.use_bytetrack = bool(tracked)
        self.use_main_thread = use_main_thread
        self.output_channel_order = output_channel_order
        self.frame_count = 0
        self._start: Event[[]] = Event()
        self._stop: Event[[]] = Event()
        self._prediction: Event[[Predictions, npt.NDArray[np.uint8]]] = Event()
        if on_start is not None:
            self._start.subscribe(on_start)
        if on_stop is not None:
            self._stop.subscribe(on_stop)
        if on_prediction is not None:
            self._prediction.subscribe(on_prediction)
        pace = bool(_given(enforce_fps, "ENFORCE_FPS", _flag))
        address = grpc_address or os.environ.get("GRPC_ADDRESS", EMBEDDED)
        self.model: Model = self._model(address)
        try:
            self._supervisor = self._prepare(pace)
            self._log_settings(pace)
            self._supervisor.start()
        except BaseException:
            self.model.close()
            raise
        if use_main_thread:
            try:
                self.wait()
            except KeyboardInterrupt:
                self.stop = True
                self.wait()

    # --- callbacks

    def on_prediction(self, callback: OnPrediction) -> Unsubscribe:
        """Call ``callback`` with each frame's predictions; returns the function that unsubscribes."""
        return self._prediction.subscribe(callback)

    def on_start(self, callback: Callable[[], object]) -> Unsubscribe:
        """Call ``callback`` once, with the first frame that is answered."""
        return self._start.subscribe(callback)

    def on_stop(self, callback: Callable[[], object]) -> Unsubscribe:
        """Call ``callback`` once, however the stream ended."""
        return self._stop.subscribe(callback)

    # --- running

    @property
    def stop(self) -> bool:
        """Whether the stream ends or has ended; set it to end the stream."""
        return self._supervisor.stopping

    @stop.setter
    def stop(self, value: bool) -> None:
        if value:
            self._supervisor.stop()

    def wait(self) -> Summary:
        """Wait for the end; raises what ended the stream, if it was an error."""
        try:
            return self._supervisor.wait()
        finally:
            self.model.close()

    def _model(self, address: str) -> Model:
        if isinstance(self.model_id, str):
            names = os.environ.get("LABELS")
            class_names = read_label_names(Path(names)) if names else ()
            model: Model = ServableModel(self.model_id, address, self.options, class_names)
        else:
            model = own_model(self.model_id, self.options, self.output_channel_order)
        try:
            model.warm_up()
        except BaseException:
            model.close()
            raise
        return model

    def _prepare(self, pace: bool) -> Supervisor:
        name = self.stream_id
        assert name is not None
        try:
            source = open_source(name, SourceOptions(realtime=pace))
        except ConfigurationError:
            if not pace:
                raise
            source = open_source(name)  # a live source has its own pace
        plan = Plan(
            source=source,
            sinks=self._collectors(),
            server=self.model.server,
            processing=replace(self.model.processing, postprocess=lambda result: result.image),
            options=RunOptions(),
        )
        events = RunEvents()
        events.resulted.subscribe(self._take)
        events.stopped.subscribe(lambda summary: self._call(self._stop))
        return Supervisor(plan, events)

    def _collectors(self) -> Sequence[Sink]:
        """What takes the place of Roboflow's active learning, which sends frames to its own servers."""
        if not isinstance(self.model_id, str) or not _given(None, "ACTIVE_LEARNING_ENABLED", _flag):
            return ()
        folder = Path(os.environ.get("ACTIVE_LEARNING_DIR") or "active_learning")
        return (open_collector(CollectOptions(collect=folder)),)

    def _take(self, result: Result) -> None:
        if self.frame_count == 0:
            self._call(self._start)
        self.frame_count += 1
        frame = result.frame.image
        predictions = {
            "frame_id": result.frame.index,
            "time": result.latency,
            "image": {"width": frame.shape[1], "height": frame.shape[0]},
            **self.model.predictions(result),
        }
        shown = frame if self.output_channel_order == "RGB" else np.ascontiguousarray(frame[:, :, ::-1])
        self._call(self._prediction, predictions, shown)

    def _call(self, event: Any, *arguments: object) -> None:
        try:
            event(*arguments)
        except Exception:
            logger.exception("a callback of the stream failed")

    def _log_settings(self, pace: bool) -> None:
        logger.info("stream %s, model %s, enforce_fps %s, %s", self.stream_id, self.model_id, pace, self.options)


def _given(value: Any, name: str, convert: Callable[[str], Any]) -> Any:
    """``value``, or what the environment says under ``name``; ``None`` where neither is."""
    if value is not None:
        return value
    text = os.environ.get(name)
    if not text:
        return None
    try:
        return convert(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}={text} in the environment: {error}") from error


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("True or False is expected")
