"""Started graphs that calls take turns with: what ``# OVMS_GRAPH_QUEUE_MAX_SIZE`` in a graph's text asks for.

Source: src/mediapipe_internal/graphqueue.cpp. A graph keeps its state and its timestamps from call to call; one
that a call left in error, or in the middle of something, is made anew.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from graph_server.errors import GraphError
from graph_server.graph.packet_types import ANY, PacketType
from graph_server.graph.runtime import Graph, OutputListener


class CallGraph(Protocol):
    """What a call does with its graph, be it its own or one of a pool. See :class:`Graph`."""

    @property
    def error(self) -> GraphError | None:
        """What broke the graph."""

    def limit_queue(self, packets: int, nbytes: int) -> None:
        """Bound what waits inside; before :meth:`start`."""

    def start(self, side_packets: Mapping[str, Any], listener: OutputListener) -> None:
        """Make it ready for packets."""

    def add_packet(self, stream: str, value: Any, timestamp: int, holds: PacketType = ANY) -> None:
        """Give it a packet."""

    def close_inputs(self) -> None:
        """No packet will come any more."""

    def wait_until_done(self) -> None:
        """Wait until everything is processed."""

    def abort(self) -> None:
        """End soon, without waiting."""

    def cancel(self) -> None:
        """End, and wait for it."""


class GraphPool:
    """At most ``size`` started graphs, made when they are first needed. Owns those that no call has."""

    def __init__(self, make: Callable[[], Graph], size: int) -> None:
        self._make = make
        self._free: list[StartedGraph] = []
        self._left = size
        self._closed = False
        self._changed = threading.Condition()

    def take(self, wanted: Callable[[], bool]) -> "StartedGraph | None":
        """Wait, without limit, for a graph that nobody has; ``None`` once it is not ``wanted`` any more.

        Raises :class:`GraphError` for a graph that cannot be started.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._left or not wanted())
            if not wanted():
                return None
            if self._free:
                return self._free.pop()
            self._left -= 1
        try:
            return StartedGraph(self._make())
        except BaseException:
            self._give_room()
            raise

    def put(self, graph: "StartedGraph", *, sound: bool) -> None:
        """Give a graph back. One that is not ``sound`` ends, and another will be made."""
        if sound:
            with self._changed:
                if not self._closed:
                    self._free.append(graph)
                    self._changed.notify_all()
                    return
        graph.graph.cancel()
        self._give_room()

    def wake(self) -> None:
        """Let those that wait look whether they still want a graph."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End the graphs that no call has, and the others when they come back."""
        with self._changed:
            self._closed = True
            free, self._free = self._free, []
        for graph in free:
            graph.graph.cancel()

    def _give_room(self) -> None:
        with self._changed:
            self._left += 1
            self._changed.notify_all()


class StartedGraph:
    """A graph of a pool, whose listener changes from call to call."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.listener: OutputListener = _nobody
        graph.start({}, self._hand_on)

    def _hand_on(self, stream: str, value: Any, timestamp: int) -> None:
        self.listener(stream, value, timestamp)


class PooledGraph:
    """One call's turn with a graph of a pool."""

    def __init__(self, pool: GraphPool) -> None:
        self._pool = pool
        self._started: StartedGraph | None = None
        self._limits: tuple[int, int] | None = None
        self._aborted = False
        self._sound = False
        self._lock = threading.Lock()

    @property
    def error(self) -> GraphError | None:
        """What broke the graph."""
        return self._graph.error

    def limit_queue(self, packets: int, nbytes: int) -> None:
        """Bound what waits inside; before :meth:`start`."""
        self._limits = packets, nbytes

    def start(self, side_packets: Mapping[str, Any], listener: OutputListener) -> None:
        """Wait for a graph; raises :class:`GraphError`."""
        started = self._pool.take(lambda: not self._aborted)
        if started is None:
            raise GraphError("the graph was cancelled", "CANCELLED")
        if self._limits is not None:
            started.graph.limit_queue(*self._limits)
        started.listener = listener
        with self._lock:
            self._started = started
            aborted = self._aborted
        if aborted:
            started.graph.abort()

    def add_packet(self, stream: str, value: Any, timestamp: int, holds: PacketType = ANY) -> None:
        """Give it a packet."""
        self._graph.add_packet(stream, value, timestamp, holds)

    def close_inputs(self) -> None:
        """The graph's inputs stay open for the next call."""

    def wait_until_done(self) -> None:
        """Wait until everything is processed; raises the graph's error."""
        self._graph.wait_until_idle()
        self._sound = True

    def abort(self) -> None:
        """End soon, without waiting: the graph will be made anew."""
        with self._lock:
            self._aborted = True
            started = self._started
        if started is not None:
            started.graph.abort()
        self._pool.wake()

    def cancel(self) -> None:
        """Give the graph back; also after it was given back."""
        with self._lock:
            started, self._started = self._started, None
        if started is None:
            return
        started.listener = _nobody
        self._pool.put(started, sound=self._sound and started.graph.error is None)

    @property
    def _graph(self) -> Graph:
        assert self._started is not None
        return self._started.graph


def pool_size(wanted: int | str) -> int:
    """How many graphs a pool has: no more than there are processors, which is what AUTO means."""
    processors = os.cpu_count() or 1
    return processors if wanted == "AUTO" else min(int(wanted), processors)


def _nobody(stream: str, value: Any, timestamp: int) -> None:
    """Takes the packets of a graph that no call has."""
