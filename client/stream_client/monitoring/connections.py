"""States of the run's connections: the source, the server, and sinks that publish to a server."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from stream_client.monitoring.observer import ConnectionState, Observer


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """A connection's state, how often it was lost and came back, and the seconds that it was away in total."""

    state: ConnectionState
    losses: int = 0
    reconnections: int = 0
    away: float = 0.0

    def line(self) -> str:
        """``lost 2 times, back 2 times, away for 3.1 s``."""
        return f"lost {_times(self.losses)}, back {_times(self.reconnections)}, away for {self.away:.1f} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


class Connections(Observer):
    """Follows the states that the run reports. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._connections: dict[str, ConnectionSummary] = {}
        self._lost_since: dict[str, float] = {}

    def state(self, connection: str, state: ConnectionState) -> None:
        """Follow a change; ``live`` after ``lost`` is a reconnection."""
        with self._lock:
            summary = replace(self._connections.get(connection, ConnectionSummary(state)), state=state)
            if state == "lost" and connection not in self._lost_since:
                self._lost_since[connection] = self._clock()
                summary = replace(summary, losses=summary.losses + 1)
            elif state in ("live", "ended") and connection in self._lost_since:
                away = self._clock() - self._lost_since.pop(connection)
                back = summary.reconnections + (state == "live")
                summary = replace(summary, reconnections=back, away=summary.away + away)
            self._connections[connection] = summary

    def snapshot(self) -> Mapping[str, ConnectionSummary]:
        """Every connection that has reported a state: ``"source"``, ``"server"``, and sinks by their names."""
        with self._lock:
            return dict(self._connections)


@runtime_checkable
class Reconnecting(Protocol):
    """A source or sink that reconnects by itself, and says so. Optional for both."""

    def watch(self, on_state: Callable[[ConnectionState], None]) -> None:
        """Call ``on_state`` at every change of state, from the part's own thread; called before ``open``."""


def watch(connection: str, part: object, observer: Observer) -> None:
    """Report the states of ``part``, a source or sink, to ``observer``, if it reconnects."""
    if isinstance(part, Reconnecting):
        part.watch(lambda state: observer.state(connection, state))
