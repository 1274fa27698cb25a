"""The seam for sources."""

from typing import Protocol, runtime_checkable

from stream_client.frames import Frame, PlaneFormat, StreamInfo


@runtime_checkable
class Source(Protocol):
    """Where frames come from. One thread owns a source from :meth:`open` to :meth:`close`.

    A source that reconnects also has the method of :class:`~stream_client.monitoring.connections.Reconnecting`.
    """

    def open(self) -> StreamInfo:
        """Connect and learn the stream's properties; raises :class:`~stream_client.errors.SourceError`."""

    def read(self) -> Frame | None:
        """Wait for the next frame; ``None`` at the end. Raises :class:`~stream_client.errors.SourceError`."""

    def interrupt(self) -> None:
        """Make a waiting :meth:`open` or :meth:`read` return or raise soon; called from another thread."""

    def close(self) -> None:
        """Release everything; safe after a failed :meth:`open`, and twice."""


@runtime_checkable
class CountsUnreadable(Protocol):
    """A source that says how many frames it had to leave out. Optional: other sources have none."""

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted. Each leaves a gap in the indices."""


@runtime_checkable
class Holdable(Protocol):
    """A live source that can wait for its reader. Optional: others drop what is not read in time."""

    def keep_all(self) -> None:
        """Drop no frame, but wait; called before :meth:`Source.open`."""


@runtime_checkable
class Passable(Protocol):
    """A source that can pass H.264 on without decoding it. Optional: others always have pixels."""

    @property
    def passes(self) -> bool:
        """Whether its kind may have H.264 to pass on. Known before it is open."""

    def pass_on(self) -> None:
        """Pass frames on as they are, where they allow it; called before :meth:`Source.open`.

        :attr:`.StreamInfo.encoded` says whether they do.
        """


@runtime_checkable
class GivesPlanes(Protocol):
    """A source that can give planes as they were decoded. Optional: others give RGB, of which planes are made."""

    def give_planes(self, wanted: PlaneFormat) -> None:
        """Give :attr:`.Frame.planes`, where frames allow it; called before :meth:`Source.open`."""
