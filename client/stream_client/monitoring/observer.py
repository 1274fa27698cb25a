"""The seam for whoever watches a run: metrics, benchmark, progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stream_client.frames import Stamps

ConnectionState = Literal["connecting", "live", "lost", "ended"]


@dataclass(frozen=True, slots=True)
class FlowSnapshot:
    """Counts of frames at one moment: sent and unanswered, allowed, waiting to be sent, waiting in sinks."""

    in_flight: int
    window: int
    queued: int
    sink_queues: Mapping[str, int] = field(default_factory=dict)


class Observer(Protocol):
    """Called from the run's threads, often under its lock: each call must be cheap and must not block."""

    def started(self, stream: str, model: str) -> None:
        """A run begins: names of the source and of the servable; states may have come before."""

    def entered(self) -> None:
        """A frame came out of the source."""

    def source_read(self, seconds: float) -> None:
        """The source took that time for the frame, from when the client had taken the one before."""

    def delivered(self, stamps: Stamps) -> None:
        """A result was handed to the sinks."""

    def dropped(self, reason: str) -> None:
        """A frame was given up by a policy."""

    def failed(self, reason: str) -> None:
        """A frame was lost to an error."""

    def resent(self, count: int) -> None:
        """Frames were sent once more."""

    def ignored(self, reason: str) -> None:
        """An answer was of no use: ``"late"`` or ``"duplicate"``."""

    def bytes_sent(self, count: int) -> None:
        """A request of so many bytes was handed to the transport."""

    def bytes_received(self, count: int) -> None:
        """An answer of so many bytes came."""

    def sink_written(self, sink: str, seconds: float) -> None:
        """A sink took a result, in that time."""

    def sink_waited(self, sink: str, seconds: float) -> None:
        """A result waited that time between delivery and its sink, which took it then."""

    def gauges(self, snapshot: FlowSnapshot) -> None:
        """Frames moved: the counts after that."""

    def state(self, connection: str, state: ConnectionState) -> None:
        """``"source"``, ``"server"`` or a sink changed its state."""

    def reconnected(self, connection: str) -> None:
        """A lost connection is back."""


class NullObserver:
    """Watches nothing; also the base for observers that care for some calls only."""

    def delivered(self, stamps: Stamps) -> None:
        """Ignore."""

    def dropped(self, reason: str) -> None:
        """Ignore."""

    def failed(self, reason: str) -> None:
        """Ignore."""

    def resent(self, count: int) -> None:
        """Ignore."""

    def sink_written(self, sink: str, seconds: float) -> None:
        """Ignore."""

    def gauges(self, snapshot: FlowSnapshot) -> None:
        """Ignore."""

    def state(self, connection: str, state: ConnectionState) -> None:
        """Ignore."""

    def reconnected(self, connection: str) -> None:
        """Ignore."""

    def started(self, stream: str, model: str) -> None:
        """Ignore."""

    def entered(self) -> None:
        """Ignore."""

    def source_read(self, seconds: float) -> None:
        """Ignore."""

    def ignored(self, reason: str) -> None:
        """Ignore."""

    def bytes_sent(self, count: int) -> None:
        """Ignore."""

    def bytes_received(self, count: int) -> None:
        """Ignore."""

    def sink_waited(self, sink: str, seconds: float) -> None:
        """Ignore."""


class Observers:
    """Passes every call on to each of several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def delivered(self, stamps: Stamps) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.delivered(stamps)

    def dropped(self, reason: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.dropped(reason)

    def failed(self, reason: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.failed(reason)

    def resent(self, count: int) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.resent(count)

    def sink_written(self, sink: str, seconds: float) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.sink_written(sink, seconds)

    def gauges(self, snapshot: FlowSnapshot) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.gauges(snapshot)

    def state(self, connection: str, state: ConnectionState) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.state(connection, state)

    def reconnected(self, connection: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.reconnected(connection)

    def started(self, stream: str, model: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.started(stream, model)

    def entered(self) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.entered()

    def source_read(self, seconds: float) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.source_read(seconds)

    def ignored(self, reason: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.ignored(reason)

    def bytes_sent(self, count: int) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.bytes_sent(count)

    def bytes_received(self, count: int) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.bytes_received(count)

    def sink_waited(self, sink: str, seconds: float) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.sink_waited(sink, seconds)
