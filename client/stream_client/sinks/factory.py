"""From what a user types to a sink."""

import os
from collections.abc import Callable, Sequence

from stream_client.errors import ConfigurationError
from stream_client.frames import Result
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.factory import SCHEMES, file_lead, open_publisher, publishes
from stream_client.publishing.options import SinkOptions
from stream_client.sinks.base import Sink
from stream_client.sinks.callable import CallableSink, NullSink
from stream_client.sinks.screen import ScreenSink
from stream_client.sinks.video_file import FileSink
from stream_client.util.urls import check_slashes

SinkName = str | os.PathLike[str]
"""What :func:`open_sink` takes: ``screen``, ``none``, a URL, an HLS playlist's path, or a video file's path."""
SinkLike = Sink | SinkName | Callable[[Result], object]
"""A sink, the name of one, or a function that takes results; ``False`` from it ends the run."""


def open_sink(
    name: SinkName,
    options: SinkOptions | None = None,
    *,
    reconnect_timeout: float | None = None,
    pool: EncoderPool | None = None,
) -> Sink:
    """The sink of that name: ``screen``, ``none``, a URL, an HLS playlist, or a video file.

    A :class:`~pathlib.Path` always means a file. A server that is lost is given up after ``reconnect_timeout``
    seconds, or never. Outputs with the same ``pool`` share encoders. Raises :class:`.ConfigurationError` for a name or
    options that cannot work.
    """
    options = options or SinkOptions()
    spec = name if isinstance(name, str) else os.path.join(os.curdir, name)  # a file may be called screen
    if not spec:
        raise ConfigurationError("no output named", option="sinks")
    if spec == "none":
        return NullSink()
    if spec == "screen":
        return ScreenSink()
    scheme, separator, _ = spec.partition("://")
    if publishes(spec):
        return open_publisher(spec, options, pool or EncoderPool(), reconnect_timeout=reconnect_timeout)
    check_slashes(spec, "sinks")
    if separator:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise ConfigurationError(
            f"{scheme}:// output is not supported: screen, none, a file, DIR/index.m3u8, {known}",
            option="sinks",
        )
    lead = None if pool is None else file_lead(options, pool)
    return FileSink(spec, quality=options.quality, fragmented=options.fragmented, lead=lead)


def as_sink(sink: SinkLike, *, reconnect_timeout: float | None = None, pool: EncoderPool | None = None) -> Sink:
    """The sink that ``sink`` means, see :func:`open_sink`; raises :class:`.ConfigurationError`."""
    if isinstance(sink, type):
        raise ConfigurationError(f"{sink.__name__} is a class: give an object of it as the sink")
    if isinstance(sink, Sink):
        return sink
    if isinstance(sink, str | os.PathLike):
        return open_sink(sink, reconnect_timeout=reconnect_timeout, pool=pool)
    if callable(sink):
        return CallableSink(sink)
    raise ConfigurationError(
        f"{type(sink).__name__} is not a sink: give screen, none, a path, a URL, a function of a result, or an object "
        "with name, open, write and close"
    )


def as_sinks(sinks: SinkLike | Sequence[SinkLike], *, reconnect_timeout: float | None = None) -> list[Sink]:
    """One sink or several; raises :class:`.ConfigurationError`."""
    if isinstance(sinks, Sequence) and not isinstance(sinks, str):
        pool = EncoderPool()
        return [as_sink(sink, reconnect_timeout=reconnect_timeout, pool=pool) for sink in sinks]
    return [as_sink(sinks, reconnect_timeout=reconnect_timeout)]
