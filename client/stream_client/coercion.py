"""What users give as sources and sinks, made into sources and sinks."""

from collections.abc import Callable, Sequence
from typing import Any

from stream_client.errors import ConfigurationError
from stream_client.frames import Result
from stream_client.sinks.base import Sink
from stream_client.sinks.callable import CallableSink
from stream_client.sinks.factory import open_sink
from stream_client.sources.base import Source
from stream_client.sources.callable import CallableSource
from stream_client.sources.factory import open_source

SourceLike = Source | str | Callable[[], Any] | Any
"""A source, what ``--input_stream`` takes, or a callable or iterator of RGB uint8 arrays."""
SinkLike = Sink | str | Callable[[Result], object]
"""A sink, what ``--output_stream`` takes, or a callable that takes results."""


def as_source(source: SourceLike) -> Source:
    """The source that ``source`` means; raises :class:`ConfigurationError`."""
    if isinstance(source, str):
        return open_source(source)
    if hasattr(source, "open") and hasattr(source, "read"):
        return source  # type: ignore[return-value,no-any-return,unused-ignore]
    if callable(source) or hasattr(source, "__iter__"):
        return CallableSource(source)
    raise ConfigurationError(f"{type(source).__name__} is not a source: name one, or give a callable or iterator")


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
