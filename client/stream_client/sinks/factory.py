"""From what a user types to a sink."""

from dataclasses import dataclass

from stream_client.errors import ConfigurationError
from stream_client.sinks.base import Sink
from stream_client.sinks.file import FileSink
from stream_client.sinks.null import NullSink
from stream_client.sinks.screen import ScreenSink


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Options of the several kinds of sinks. ``quality`` is x264's constant rate factor, 0…51."""

    quality: int = 20
    preset: str = "veryfast"


def open_sink(spec: str, options: SinkOptions | None = None) -> Sink:
    """The sink that ``spec`` names: ``screen``, ``none``, or a video file."""
    options = options or SinkOptions()
    if not spec:
        raise ConfigurationError("no output named (--output_stream)")
    if spec == "none":
        return NullSink()
    if spec == "screen":
        return ScreenSink()
    if "://" in spec:
        raise ConfigurationError(
            f"{spec.split('://', maxsplit=1)[0]}:// output is not supported: screen, none or a file (--output_stream)"
        )
    return FileSink(spec, quality=options.quality, preset=options.preset)
