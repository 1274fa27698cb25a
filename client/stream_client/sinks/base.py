"""The seam for sinks."""

from typing import Protocol, runtime_checkable

from stream_client.frames import Result, StreamInfo


@runtime_checkable
class Sink(Protocol):
    """Where results go. One thread owns a sink from :meth:`open` to :meth:`Sink.close`.

    A sink may also be a :class:`LandmarksUser`, and one that reconnects has the method of
    :class:`~stream_client.monitoring.connections.Reconnecting`.
    """

    name: str
    """Its name in messages and metrics, without secrets: ``"screen"``, ``"file out.mp4"``."""

    def open(self, info: StreamInfo) -> None:
        """Prepare for a stream; raises :class:`~stream_client.errors.SinkError`."""

    def write(self, result: Result) -> bool:
        """Take a result, in frame order; ``False`` asks the run to end (a closed window)."""

    def close(self) -> None:
        """Finalise what was written, so that it is playable; safe after a failed open, and twice."""


@runtime_checkable
class CountsKept(Protocol):
    """A sink that may lose the last results that it took when it fails. Optional: other sinks lose nothing."""

    @property
    def kept(self) -> int:
        """How many of the results that it took can be read again, from the first one on. Asked after the end."""


@runtime_checkable
class PicturesUser(Protocol):
    """A sink that says whether it looks at images. Optional: other sinks do."""

    needs_pictures: bool
    """With ``False`` for all of a run's sinks, the command line draws and decodes nothing for them."""


def needs_pictures(sink: Sink) -> bool:
    """Whether a sink looks at images."""
    return not isinstance(sink, PicturesUser) or sink.needs_pictures


@runtime_checkable
class PlanesUser(Protocol):
    """A sink that says whether it takes :attr:`.Result.planes`. Optional: other sinks need images."""

    takes_planes: bool
    """With ``True`` for all of a run's sinks that look at images, the command line makes no RGB of planes."""


def takes_planes(sink: Sink) -> bool:
    """Whether a sink is content with planes."""
    return not needs_pictures(sink) or (isinstance(sink, PlanesUser) and sink.takes_planes)


@runtime_checkable
class LandmarksUser(Protocol):
    """A sink that says whether it can work without landmarks. Optional: other sinks can."""

    needs_landmarks: bool
    """With ``True`` a run is refused at its start if the server's graph gives no landmarks."""
