"""A pool of started graphs for ``# OVMS_GRAPH_QUEUE_MAX_SIZE``. Each call takes a graph and gives it back.

Source: src/mediapipe_internal/graphqueue.cpp. A graph keeps its state and its timestamps from call to call. After a
call that failed or did not finish, the pool makes a new graph.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from graph_server.errors import GraphError
from graph_server.graph.calculator import Registry
from graph_server.graph.definition import GraphDefinition
from graph_server.graph.packet_types import ANY, PacketType
from graph_server.graph.runtime import Graph, OutputListener, Watch


class CallGraph(Protocol):
    """The graph of one call: a graph of its own, or one from a pool. See :class:`Graph`."""

    @property
    def error(self) -> GraphError | None:
        """The error of the graph, or ``None``."""

    def limit_queue(self, packets: int, nbytes: int) -> None:
        """Limit the packets and bytes that wait inside. Call it before :meth:`start`."""

    def watch(self, find: Watch | None) -> None:
        """Tell about the calls of calculators. Call it before :meth:`start`."""

    def start(self, side_packets: Mapping[str, Any], listener: OutputListener) -> None:
        """Make the graph ready for packets."""

    def add_packet(self, stream: str, value: Any, timestamp: int, holds: PacketType = ANY) -> None:
        """Give the graph a packet."""

    def close_inputs(self) -> None:
        """Close the input streams: no more packets will come."""

    def wait_until_done(self) -> None:
        """Wait until everything is processed."""

    def abort(self) -> None:
        """Let the graph end, without waiting for it."""

    def cancel(self) -> None:
        """End the graph and wait for its end."""


class GraphPool:
    """At most ``size`` started graphs. The pool makes them when they are needed and owns those that are free."""

    def __init__(self, make: Callable[[], Graph], size: int) -> None:
        self._make = make
        self._free: list[StartedGraph] = []
        self._left = size
        self._closed = False
        self._changed = threading.Condition()

    def take(self, wanted: Callable[[], bool]) -> "StartedGraph | None":
        """Wait for a free graph, without a timeout. Returns ``None`` when ``wanted`` becomes false.

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
        """Give a graph back. A graph that is not ``sound`` ends, and the pool makes a new one later."""
        if sound:
            with self._changed:
                if not self._closed:
                    self._free.append(graph)
                    self._changed.notify_all()
                    return
        graph.graph.cancel()
        self._give_room()

    def wake(self) -> None:
        """Let the waiting calls check ``wanted`` again."""
        with self._changed:
            self._changed.notify_all()

    def empty(self) -> None:
        """End the free graphs. The next call makes a new one."""
        with self._changed:
            free, self._free = self._free, []
            self._left += len(free)
            self._changed.notify_all()
        for graph in free:
            graph.graph.cancel()

    def close(self) -> None:
        """End the free graphs now, and the others when they come back."""
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
    """A graph of a pool. Each call sets its own listener."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.listener: OutputListener = _discard
        graph.start({}, self._forward)

    def _forward(self, stream: str, value: Any, timestamp: int) -> None:
        self.listener(stream, value, timestamp)


class PooledGraph:
    """A graph of a pool, for one call."""

    def __init__(self, pool: GraphPool) -> None:
        self._pool = pool
        self._started: StartedGraph | None = None
        self._limits: tuple[int, int] | None = None
        self._watch: Watch | None = None
        self._aborted = False
        self._sound = False
        self._lock = threading.Lock()

    @property
    def error(self) -> GraphError | None:
        """The error of the graph, or ``None``."""
        return self._graph.error

    def limit_queue(self, packets: int, nbytes: int) -> None:
        """Limit the packets and bytes that wait inside. Call it before :meth:`start`."""
        self._limits = packets, nbytes

    def watch(self, find: Watch | None) -> None:
        """Tell about the calls of calculators. Call it before :meth:`start`."""
        self._watch = find

    def start(self, side_packets: Mapping[str, Any], listener: OutputListener) -> None:
        """Wait for a free graph. Raises :class:`GraphError`."""
        started = self._pool.take(lambda: not self._aborted)
        if started is None:
            raise GraphError("the graph was cancelled", "CANCELLED")
        if self._limits is not None:
            started.graph.limit_queue(*self._limits)
        started.graph.watch(self._watch)
        started.listener = listener
        with self._lock:
            self._started = started
            aborted = self._aborted
        if aborted:
            started.graph.abort()

    def add_packet(self, stream: str, value: Any, timestamp: int, holds: PacketType = ANY) -> None:
        """Give the graph a packet."""
        self._graph.add_packet(stream, value, timestamp, holds)

    def close_inputs(self) -> None:
        """Do nothing: the inputs stay open for the next call."""

    def wait_until_done(self) -> None:
        """Wait until everything is processed. Raises the graph's error."""
        self._graph.wait_until_idle()
        self._sound = True

    def abort(self) -> None:
        """Let the graph end, without waiting for it. The pool makes a new one."""
        with self._lock:
            self._aborted = True
            started = self._started
        if started is not None:
            started.graph.abort()
        self._pool.wake()

    def cancel(self) -> None:
        """Give the graph back. Further calls do nothing."""
        with self._lock:
            started, self._started = self._started, None
        if started is None:
            return
        started.listener = _discard
        started.graph.watch(None)
        self._pool.put(started, sound=self._sound and started.graph.error is None)

    @property
    def _graph(self) -> Graph:
        assert self._started is not None
        return self._started.graph


def pool_size(wanted: int | str) -> int:
    """The number of graphs in a pool: at most one for each processor. AUTO is one for each processor."""
    processors = os.cpu_count() or 1
    return processors if wanted == "AUTO" else min(int(wanted), processors)


def mixing(definition: GraphDefinition, registry: Registry) -> str | None:
    """What goes wrong if a graph with state comes from a pool. ``None`` without a pool or without state."""
    names = [node.name for node in definition.order if registry.find(node).stateful]
    if definition.pool_size is None or not names:
        return None
    return (
        f"{', '.join(names)} smooth or track from frame to frame, and a pool (OVMS_GRAPH_QUEUE_MAX_SIZE) gives the "
        "same graph to one stream after another: the first frames of a stream are mixed with the last ones of another"
    )


def _discard(stream: str, value: Any, timestamp: int) -> None:
    """Ignore the packets of a free graph."""
