"""OVMS's demo helper: scripts written for its ``StreamClient`` run unchanged.

Its constructor and ``start`` are mapped onto :class:`stream_client.client.StreamClient`, with its faults
mended: no frame of a file is lost, one lost answer stalls nothing, an error ends with an exception. Pictures
are handed to its callbacks in OpenCV's order (blue, green, red), as the demo does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream_client.benchmark.demo_line import DemoTotals
from stream_client.client import StreamClient
from stream_client.errors import ConfigurationError
from stream_client.frames import Image, Result
from stream_client.options import RunOptions
from stream_client.sinks.base import Sink
from stream_client.sinks.callable import NullSink
from stream_client.sinks.factory import SinkLike, open_sink
from stream_client.sinks.screen import ScreenSink
from stream_client.sources.factory import SourceLike, open_source
from stream_client.transport.session import TransportOptions


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


@dataclass(frozen=True, slots=True)
class _DemoOptions:
    preprocess: Callable[[Any], Any] | None
    postprocess: Callable[[Any, Any], Any]
    sink: str
    backend: OutputBackend
    size: tuple[int | None, int | None]
    benchmark: bool
    max_inflight: int


class CompatibleStreamClient(StreamClient):
    """:class:`StreamClient` that takes the demo helper's keywords as well.

    With ``postprocess_callback`` it is the demo's: ``start`` then takes ``ovms_address`` and the rest, and
    returns at the end of the run.
    """

    OutputBackends = OutputBackends
    Datatypes = Datatypes

    def __init__(
        self,
        source: SourceLike = "",
        sinks: SinkLike | Sequence[SinkLike] = (),
        *args: Any,
        preprocess_callback: Callable[[Any], Any] | None = None,
        postprocess_callback: Callable[[Any, Any], Any] | None = None,
        sink: str = "",
        ffmpeg_output_width: int | None = None,
        ffmpeg_output_height: int | None = None,
        output_backend: OutputBackend = OutputBackends.ffmpeg,
        verbose: bool = False,
        exact: bool = True,
        benchmark: bool = False,
        max_inflight_packets: int = 4,
        **kwargs: Any,
    ) -> None:
        self._demo: _DemoOptions | None = None
        if postprocess_callback is None:
            super().__init__(source, sinks, *args, **kwargs)
            return
        self._demo = _DemoOptions(
            preprocess_callback,
            postprocess_callback,
            sink,
            output_backend,
            (ffmpeg_output_width, ffmpeg_output_height),
            benchmark,
            max_inflight_packets,
        )
        self._demo_source = source

    def start(self, **demo: Any) -> None:
        """Begin; with the demo's keywords: run to the end."""
        if self._demo is None:
            if demo:
                raise ConfigurationError(f"start() takes no {', '.join(demo)}: give them to the constructor")
            super().start()
            return
        self._start_demo(self._demo, **demo)

    def _start_demo(
        self,
        options: _DemoOptions,
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
        totals = DemoTotals()
        client = StreamClient(
            open_source(str(self._demo_source)),
            [options.backend.make(options.sink)],
            TransportOptions(
                ovms_address,
                api="stream" if streaming_api else "unary",
                model_name=model_name,
                input_name=input_name,
                input_layout="nhwc" if batch else "hwc",
                input_dtype=datatype.string(),
            ),
            options=RunOptions(
                max_inflight=options.max_inflight,
                limit_frames=limit_frames,
                limit_stream_duration=limit_stream_duration,
            ),
            preprocess=_preprocess(options),
            postprocess=_postprocess(options),
            observers=[totals],
        )
        self.result = client.run()
        if options.benchmark:
            print(totals.line(self.result))


def _preprocess(options: _DemoOptions) -> Callable[[Image], Image]:
    if options.preprocess is None:
        return _swapped
    preprocess = options.preprocess
    return lambda image: np.asarray(preprocess(_swapped(image)))


def _postprocess(options: _DemoOptions) -> Callable[[Result], Image]:
    width, height = options.size

    def process(result: Result) -> Image:
        shown = np.asarray(options.postprocess(_swapped(result.frame.image), InferResult(result)))
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
