"""The seam for sinks."""

from typing import Protocol

from stream_client.frames import Result, StreamInfo


class Sink(Protocol):
    """Where results go. One thread owns a sink from :meth:`open` to :meth:`close`."""

    name: str
    """What to call it in messages and metrics, without secrets: ``"screen"``, ``"file out.mp4"``."""

    def open(self, info: StreamInfo) -> None:
        """Prepare for a stream; raises :class:`~stream_client.errors.SinkError`."""

    def write(self, result: Result) -> bool:
        """Take a result, in frame order; ``False`` asks the run to end (a closed window)."""

    def close(self) -> None:
        """Finalise what was written, so that it is playable; safe after a failed open, and twice."""
