"""The seam below FFmpeg's demuxers: a connection of ours that brings a container's bytes."""

from typing import Protocol


class Carrier(Protocol):
    """Used once, by one thread. Only :meth:`abort` is for other threads."""

    container: str
    """FFmpeg's name of it."""

    def open(self) -> None:
        """Connect; raises :class:`OSError` or :class:`~stream_client.errors.SourceError`."""

    def read(self, size: int) -> bytes:
        """Wait for bytes, at most ``size``; empty at the end. Raises as :meth:`open` does."""

    def close(self) -> None:
        """Release everything; safe after a failed :meth:`open`, and twice."""

    def abort(self) -> None:
        """Make a wait end now, with an error or without. Called from another thread."""
