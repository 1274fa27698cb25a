"""From what a user types to a sink."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from stream_client.errors import ConfigurationError
from stream_client.frames import Result
from stream_client.sinks.base import Sink
from stream_client.sinks.callable import CallableSink, NullSink
from stream_client.sinks.encoder import PyavEncoder
from stream_client.sinks.ffmpeg_encoder import FfmpegEncoder, ffmpeg_command
from stream_client.sinks.file import FileSink
from stream_client.sinks.rtsp import EncoderFactory, RtspSink
from stream_client.sinks.screen import ScreenSink
from stream_client.util.checks import check_not_negative
from stream_client.util.urls import check_url

SinkLike = Sink | str | Callable[[Result], object]
"""A sink, what ``--output_stream`` takes, or a callable that takes results."""


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Options of the several kinds of sinks. ``quality`` is x264's constant rate factor, 0…51.

    ``encoder`` is for RTSP: ``pyav[:NAME]`` or ``ffmpeg[:NAME]``, NAME being FFmpeg's name of an H.264 encoder.
    ``reconnect_timeout`` in seconds is for RTSP, too; ``None`` never gives up.
    """

    quality: int = 20
    encoder: str = "pyav"
    reconnect_timeout: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 51:
            raise ConfigurationError(f"{self.quality} is no quality: 0 (best) to 51 (--quality)")
        check_not_negative(self, "reconnect_timeout")


def encoder_factory(options: SinkOptions) -> EncoderFactory:
    """What makes the encoder that ``options`` name; raises :class:`ConfigurationError`."""
    kind, _, codec = options.encoder.partition(":")
    codec = codec or "libx264"
    if kind == "ffmpeg":
        ffmpeg_command(codec, 2, 2)  # says now what is missing
        return partial(FfmpegEncoder, codec=codec, quality=options.quality)
    if kind != "pyav":
        raise ConfigurationError(f"{options.encoder!r} is no encoder: pyav[:NAME] or ffmpeg[:NAME] (--encoder)")
    try:
        encodes_h264 = Codec(codec, "w").canonical_name == "h264"
    except UnknownCodecError:
        encodes_h264 = False
    if not encodes_h264:
        raise ConfigurationError(f"PyAV has no H.264 encoder {codec!r} here: libx264, for instance (--encoder)")
    return partial(PyavEncoder, codec=codec, quality=options.quality)


def open_sink(spec: str, options: SinkOptions | None = None) -> Sink:
    """The sink that ``spec`` names: ``screen``, ``none``, or a video file."""
    options = options or SinkOptions()
    if not spec:
        raise ConfigurationError("no output named (--output_stream)")
    if spec == "none":
        return NullSink()
    if spec == "screen":
        return ScreenSink()
    scheme, separator, _ = spec.partition("://")
    if scheme in ("rtsp", "rtsps") and separator:
        check_url(spec, "--output_stream")
        return RtspSink(spec, encoder_factory(options), reconnect_timeout=options.reconnect_timeout)
    if separator:
        raise ConfigurationError(
            f"{scheme}:// output is not supported: screen, none, a file or rtsp:// (--output_stream)"
        )
    return FileSink(spec, quality=options.quality)


def as_sink(sink: SinkLike) -> Sink:
    """The sink that ``sink`` means; raises :class:`ConfigurationError`."""
    if isinstance(sink, str):
        return open_sink(sink)
    if hasattr(sink, "open") and hasattr(sink, "write"):
        return sink  # type: ignore[return-value,unused-ignore]
    if callable(sink):
        return CallableSink(sink)
    raise ConfigurationError(f"{type(sink).__name__} is not a sink: name one, or give a callable")


def as_list(sinks: SinkLike | Sequence[SinkLike]) -> list[SinkLike]:
    """One sink or several, as a list."""
    return list(sinks) if isinstance(sinks, list | tuple) else [sinks]  # type: ignore[list-item,unused-ignore]
