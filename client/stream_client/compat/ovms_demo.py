"""OVMS's demo helper: scripts written for its ``StreamClient`` run unchanged.

Faults of the original are fixed: no frame of a file is lost, a lost answer stalls nothing, an error raises an
exception. Callbacks get frames in OpenCV's order (blue, green, red), as in the demo.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np

from stream_client.compat.demo_line import DemoTotals
from stream_client.frames import Image, Result
from stream_client.monitoring.connections import ConnectionSummary
from stream_client.monitoring.summary import Summary
from stream_client.options import RunOptions
from stream_client.pipeline.connector import Connector
from stream_client.pipeline.plan import Plan, Processing
from stream_client.pipeline.supervisor import RunEvents, Supervisor
from stream_client.sinks.base import Sink
from stream_client.sinks.callable import NullSink
from stream_client.sinks.factory import open_sink
from stream_client.sinks.screen import ScreenSink
from stream_client.sources.factory import SourceName, open_source
from stream_client.transport.options import TransportOptions


@dataclass(frozen=True, slots=True)
class OutputBackend:
    """Where the demo's results go: a function from its ``sink`` to one of our sinks."""

    make: Callable[[str], Sink]


@dataclass(frozen=True, slots=True)
class Datatype:
    """A datatype of the demo."""

    name: str

    def string(self) -> str:
        """KServe's name."""
        return self.name

    def dtype(self) -> type:
        """NumPy's type."""
        return np.float32 if self.name == "FP32" else np.uint8


class OutputBackends:
    """The demo's back ends. ``ffmpeg`` publishes, ``cv2`` writes a file, ``imshow`` opens a window."""

    ffmpeg = OutputBackend(open_sink)
    cv2 = OutputBackend(open_sink)
    imshow = OutputBackend(lambda sink: ScreenSink())
    none = OutputBackend(lambda sink: NullSink())


class Datatypes:
    """The demo's datatypes."""

    fp32 = Datatype("FP32")
    uint8 = Datatype("UINT8")


@dataclass(frozen=True, slots=True)
class _Parameter:
    int64_param: int


@dataclass(frozen=True, slots=True)
class _Response:
    model_name: str
    parameters: dict[str, _Parameter]


class InferResult:
    """A result with the two methods of tritonclient's that the demo's callbacks use."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def as_numpy(self, name: str) -> Any:
        """The output ``name`` as an array, or ``None``."""
        tensor = self._result.outputs.get(name)
        return None if tensor is None else tensor.array

    def get_response(self) -> _Response:
        """The response's parameters."""
        return _Response("", {"OVMS_MP_TIMESTAMP": _Parameter(self._result.frame.timestamp)})


class DemoClient:
    """The ``StreamClient`` of OVMS's demo helper, with its keywords and defaults.

    ``postprocess_callback`` takes a frame, uint8 [height, width, 3] in blue, green, red, and an
    :class:`.InferResult`, and returns the frame to show; ``preprocess_callback`` changes a frame before it is sent.
    ``source``: a camera's number, a file or a URL; ``sink``: a file or an RTSP URL for ``output_backend``.
    ``ffmpeg_output_width`` and ``ffmpeg_output_height`` resize the output. ``benchmark`` prints a line of JSON at the
    end of the run. ``max_inflight_packets``: frames sent and unanswered. ``verbose`` and ``exact`` are accepted and
    change nothing: errors are always raised, and every frame is shown in order.
    """

    OutputBackends = OutputBackends
    Datatypes = Datatypes

    def __init__(
        self,
        *,
        postprocess_callback: Callable[[Any, InferResult], Any],
        source: SourceName,
        sink: str,
        preprocess_callback: Callable[[Any], Any] | None = None,
        ffmpeg_output_width: int | None = None,
        ffmpeg_output_height: int | None = None,
        output_backend: OutputBackend = OutputBackends.ffmpeg,
        verbose: bool = False,
        exact: bool = True,
        benchmark: bool = False,
        max_inflight_packets: int = 4,
    ) -> None:
        self._source = source
        self._make_sink = partial(output_backend.make, sink)
        self._processing = Processing(
            preprocess=_preprocess(preprocess_callback),
            postprocess=_postprocess(postprocess_callback, ffmpeg_output_width, ffmpeg_output_height),
        )
        self._benchmark = benchmark
        self._max_inflight = max_inflight_packets
        self._run: Supervisor | None = None

    def start(
        self,
        *,
        ovms_address: str,
        input_name: str,
        model_name: str,
        datatype: Datatype = Datatypes.fp32,
        batch: bool = True,
        limit_stream_duration: float = 0,
        limit_frames: int = 0,
        streaming_api: bool = False,
    ) -> None:
        """Run to the end of the source, a limit (in seconds, in frames) or :meth:`stop`; raises what ended it else.

        Frames go to ``input_name`` of ``model_name`` as ``datatype``, with a leading dimension of 1 if ``batch``.
        """
        totals = DemoTotals()
        transport = TransportOptions(
            ovms_address,
            api="stream" if streaming_api else "unary",
            model_name=model_name,
            input_name=input_name,
            input_layout="nhwc" if batch else "hwc",
            input_dtype=datatype.string(),
        )
        plan = Plan(
            source=open_source(self._source),
            sinks=[self._make_sink()],
            server=Connector(transport),
            processing=self._processing,
            options=RunOptions(
                max_inflight=self._max_inflight,
                limit_frames=limit_frames,
                limit_stream_duration=limit_stream_duration,
            ),
            observers=[totals],
        )
        self._run = Supervisor(plan, RunEvents())
        self._run.start()
        summary = self._run.wait()
        if self._benchmark:
            print(totals.line(summary))

    def stop(self) -> None:
        """End the run that :meth:`start` waits for; from another thread or a signal handler. Returns at once."""
        if self._run is not None:
            self._run.stop()

    @property
    def connections(self) -> Mapping[str, ConnectionSummary]:
        """The states of source, server and publishing sinks now; empty before :meth:`start`."""
        return {} if self._run is None else self._run.connections

    @property
    def summary(self) -> Summary | None:
        """How the last run ended, or ``None`` before its end."""
        return None if self._run is None else self._run.summary

    def __enter__(self) -> "DemoClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            self._run.close()


def _preprocess(callback: Callable[[Any], Any] | None) -> Callable[[Image], Image]:
    if callback is None:
        return _swapped
    return lambda image: np.asarray(callback(_swapped(image)))


def _postprocess(
    callback: Callable[[Any, InferResult], Any], width: int | None, height: int | None
) -> Callable[[Result], Image]:
    def process(result: Result) -> Image:
        shown = np.asarray(callback(_swapped(result.frame.image), InferResult(result)))
        image = _swapped(shown.astype(np.uint8, copy=False))
        if (width or image.shape[1], height or image.shape[0]) != (image.shape[1], image.shape[0]):
            from PIL import Image as PillowImage

            size = (width or image.shape[1], height or image.shape[0])
            image = np.asarray(PillowImage.fromarray(image).resize(size))
        return image

    return process


def _swapped(image: Any) -> Image:
    """Red and blue exchanged."""
    return np.ascontiguousarray(image[:, :, ::-1])
