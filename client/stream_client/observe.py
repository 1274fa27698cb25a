"""The seam for whoever watches a run: metrics, benchmark, progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stream_client.frames import Stamps

PeerState = Literal["connecting", "live", "lost", "ended"]


@dataclass(frozen=True, slots=True)
class FlowSnapshot:
    """Counts of frames at one moment: sent and unanswered, allowed, waiting to be sent, waiting in sinks."""

    in_flight: int
    window: int
    queued: int
    sink_queues: Mapping[str, int] = field(default_factory=dict)


class Observer(Protocol):
    """Called from the run's threads, often under its lock: each call must be cheap and must not block."""

    def delivered(self, stamps: Stamps) -> None:
        """A result was handed to the sinks."""

    def dropped(self, reason: str) -> None:
        """A frame was given up by a policy."""

    def failed(self, reason: str) -> None:
        """A frame was lost to an error."""

    def resent(self, count: int) -> None:
        """Frames were sent once more."""

    def sink_written(self, sink: str, seconds: float) -> None:
        """A sink took a result, in that time."""

    def gauges(self, snapshot: FlowSnapshot) -> None:
        """A frame was sent; the counts after that."""

    def state(self, peer: str, state: PeerState) -> None:
        """``"source"``, ``"server"`` or a sink changed its state."""

    def reconnected(self, peer: str) -> None:
        """A lost peer is back."""


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

    def state(self, peer: str, state: PeerState) -> None:
        """Ignore."""

    def reconnected(self, peer: str) -> None:
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

    def state(self, peer: str, state: PeerState) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.state(peer, state)

    def reconnected(self, peer: str) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.reconnected(peer)
