"""Whether a source may pass H.264 on."""

from collections.abc import Callable

from stream_client.errors import ConfigurationError
from stream_client.frames import Image, StreamInfo
from stream_client.options import RunOptions
from stream_client.pipeline.connector import Connection
from stream_client.sources.base import Passable, Source
from stream_client.transport.options import Wire


class WireChoice:
    """What ``wire`` means for a run with these options. ``preprocess`` changes frames before they are sent."""

    def __init__(self, wire: Wire, options: RunOptions, preprocess: Callable[[Image], Image] | None) -> None:
        self._wire = wire
        changes = {
            "max_side": options.max_side is not None,
            "latency_budget": options.latency_budget is not None,
            "preprocess": preprocess is not None,
        }
        self._changes = next((name for name, given in changes.items() if given), "")

    def may_pass(self, connection: Connection | None) -> bool:
        """Whether to ask the source for H.264; ``connection`` is that of an automatic choice."""
        if self._wire == "h264":
            return not self._changes
        if connection is None or self._changes:
            return False
        session = connection.session
        return session.servable.takes_encoded and session.streams

    def check_source(self, source: Source) -> None:
        """Raise :class:`.ConfigurationError` where H.264 was asked for, and ``source``, not open yet, never has any."""
        if self._wire != "h264":
            return
        text = ""
        if self._changes:
            text = f"{self._changes} changes pixels, and h264 sends none"
        elif not isinstance(source, Passable) or not source.passes:
            text = "this input has no H.264 to be passed on: only files and RTSP have"
        if text:
            raise ConfigurationError(text, option="wire", value="jpeg")

    def check(self, info: StreamInfo) -> None:
        """The same of a source that is open."""
        if self._wire == "h264" and not info.encoded:
            text = f"{info.name} has no H.264 to be passed on: that has to be upright, progressive, by file or RTSP"
            raise ConfigurationError(text, option="wire", value="jpeg")
