"""A graph at work.

MediaPipe's default input policy runs a node at a timestamp once all its inputs are settled there, if one of
them has a packet. A graph whose calculators answer at the timestamp they are called for settles every stream
of a timestamp in topological order; so each timestamp is a *wave* that passes through the nodes in order.
Several waves are under way at once: one enters a node as soon as the wave before it has left that node, and,
for a node with a back edge, once the wave before has left the node that feeds it. That is all the state of a
graph allows: the pose of the next frame is sought while hands and face of this one are.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graph_server.errors import GraphError
from graph_server.graph.calculator import Calculator, Registry, Services
from graph_server.graph.definition import GraphDefinition
from graph_server.models import ModelRepository

logger = logging.getLogger(__name__)

OutputListener = Callable[[str, Any, int], None]
"""Called with an output stream's name, a packet's value and its timestamp, in order for each stream."""

# int64's ends are MediaPipe's special timestamps (framework/timestamp.h).
MIN_TIMESTAMP = -(2**63) + 3
MAX_TIMESTAMP = 2**63 - 4


@dataclass(slots=True)
class _Step:
    """A node in order: where its inputs and outputs lie in a wave's slots, and what it has to wait for."""

    calculator: Calculator
    inputs: tuple[int, ...]
    forward: tuple[int, ...]
    back: tuple[tuple[int, int], ...]
    feeds: tuple[int, ...]
    outputs: tuple[tuple[int, int], ...]
    emits: tuple[tuple[int, str], ...]
    after: int


class _Wave:
    """One timestamp on its way. ``progress`` counts the steps it has left behind."""

    __slots__ = ("before", "feedback", "nbytes", "previous", "progress", "slots", "timestamp")

    def __init__(self, timestamp: int, slots: list[Any], previous: "_Wave | None") -> None:
        self.timestamp = timestamp
        self.slots = slots
        self.nbytes = sum(_nbytes(value) for value in slots)
        self.previous = previous
        self.progress = 0
        # What this wave gives to back edges, by slot, and what the wave before gave.
        self.feedback: dict[int, Any] = {}
        self.before: dict[int, Any] = {} if previous is None else previous.feedback


def _nbytes(value: Any) -> int:
    """What a packet costs; 1 KiB for what is around the value."""
    return 0 if value is None else 1024 + int(getattr(value, "nbytes", 0))


class Graph:
    """One instance of a graph, with its own state and its own worker threads.

    ``waves`` bounds the timestamps under way. Outputs are given to the listener from the workers.
    """

    WAVES = 3

    def __init__(self, definition: GraphDefinition, registry: Registry, models: ModelRepository) -> None:
        self._definition = definition
        consumers: dict[str, list[Any]] = {}
        for node in definition.order:
            for port in node.inputs:
                consumers.setdefault(port.name, []).append((node, port))
        services = Services(models, consumers)
        self._calculators = [registry.find(node)(node, services) for node in definition.order]
        self._lock = threading.Condition()
        self._waiting: dict[str, deque[tuple[int, Any]]] = {port.name: deque() for port in definition.input_streams}
        self._bounds: dict[str, int] = dict.fromkeys(self._waiting, MIN_TIMESTAMP)
        self._ready: deque[_Wave] = deque()
        self._last: _Wave | None = None
        self._under_way = 0
        self._max_packets = definition.max_queue_size
        self._max_bytes: int | None = None
        self._bytes = 0
        self._closing = False
        self._error: GraphError | None = None
        self._threads: list[threading.Thread] = []
        self._listener: OutputListener = lambda name, value, timestamp: None
        self._steps: list[_Step] = []
        self._slots: dict[str, int] = {}

    @property
    def error(self) -> GraphError | None:
        """What broke the graph, if anything did."""
        return self._error

    @property
    def pending(self) -> int:
        """Packets and timestamps that have entered and not left."""
        with self._lock:
            return self._under_way + max((len(queue) for queue in self._waiting.values()), default=0)

    def limit_queue(self, packets: int, nbytes: int) -> None:
        """Let :meth:`add_packet` wait while that many packets of a stream, or bytes of packets, are pending."""
        self._max_packets, self._max_bytes = packets, nbytes

    def start(self, side_packets: Mapping[str, Any], listener: OutputListener) -> None:
        """Open every calculator; raises :class:`GraphError` ``FAILED_PRECONDITION``."""
        self._listener = listener
        packets: dict[str, Any] = dict(side_packets)
        for port in self._definition.input_side_packets:
            if port.name not in packets:
                raise GraphError(f"side packet {port.name!r} is required but was not given", "FAILED_PRECONDITION")
        for calculator in self._calculators:
            node = calculator.node
            try:
                given = {port.tag: packets[port.name] for port in node.input_side_packets}
                made = calculator.open(given)
            except Exception as error:
                raise GraphError(f"{node.where()}: {error}", "FAILED_PRECONDITION") from error
            for port in node.output_side_packets:
                packets[port.name] = made.get(port.tag)
        self._lay_out()
        self._threads = [
            threading.Thread(target=self._work, name=f"graph {self._definition.source} {number}", daemon=True)
            for number in range(self.WAVES)
        ]
        for thread in self._threads:
            thread.start()

    def add_packet(self, stream: str, value: Any, timestamp: int) -> None:
        """Give a packet to an input stream; waits while ``max_queue_size`` (see :meth:`limit_queue`) are pending.

        Raises :class:`GraphError` for a timestamp that does not rise, for more bytes than the limit that wait for
        another stream, and when the graph is in error; the former two put the graph into error.
        """
        with self._lock:
            self._raise_error()
            bound = self._bounds[stream]
            if timestamp < bound:
                self._error = GraphError(self._mismatch(stream, bound, timestamp), "INVALID_ARGUMENT")
                self._lock.notify_all()
                raise self._error
            # Where nothing is under way, the packet may be what the waiting ones need: MediaPipe lets it in, too.
            self._lock.wait_for(lambda: self._error is not None or not self._under_way or self._has_room(stream))
            self._raise_error()
            if self._max_bytes is not None and not self._under_way and self._bytes >= self._max_bytes:
                text = f"{self._bytes} bytes of packets wait for those of other streams; the limit is {self._max_bytes}"
                self._error = GraphError(text, "RESOURCE_EXHAUSTED")
                raise self._error
            self._bounds[stream] = timestamp + 1
            self._bytes += _nbytes(value)
            self._waiting[stream].append((timestamp, value))
            self._settle()

    def close_inputs(self) -> None:
        """No packet will come any more; what is inside is still processed."""
        with self._lock:
            self._closing = True
            self._settle()
            self._lock.notify_all()

    def wait_until_idle(self) -> None:
        """Wait until everything settled is processed; raises the graph's error."""
        with self._lock:
            self._lock.wait_for(lambda: self._error is not None or self._under_way == 0)
            self._raise_error()

    def wait_until_done(self) -> None:
        """After :meth:`close_inputs`: wait for the rest and end the workers; raises the graph's error."""
        for thread in self._threads:
            thread.join()
        self._threads = []
        for calculator in self._calculators:
            calculator.close()
        with self._lock:
            self._raise_error()

    def abort(self) -> None:
        """Let the workers end after the calculators that are running; does not wait. :meth:`cancel` does."""
        with self._lock:
            self._error = self._error or GraphError("the graph was cancelled", "CANCELLED")
            self._closing = True
            self._lock.notify_all()

    def cancel(self) -> None:
        """End at once: what has not been processed is lost. Waits for the calculators that are running."""
        self.abort()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._threads = []

    # --- inside

    def _lay_out(self) -> None:
        """Give every stream a slot in a wave and every node its place in line."""
        slots = self._slots
        for port in self._definition.input_streams:
            slots[port.name] = len(slots)
        for calculator in self._calculators:
            for port in calculator.node.outputs:
                slots[port.name] = len(slots)
        exits = {port.name for port in self._definition.output_streams}
        fed_back = {
            port.name
            for calculator in self._calculators
            for port in calculator.node.inputs
            if port.tag in calculator.node.back_edges
        }
        position = {
            port.name: index for index, calculator in enumerate(self._calculators) for port in calculator.node.outputs
        }
        for index, calculator in enumerate(self._calculators):
            node = calculator.node
            back = [port for port in node.inputs if port.tag in node.back_edges]
            self._steps.append(
                _Step(
                    calculator=calculator,
                    inputs=tuple(slots[port.name] for port in node.inputs),
                    forward=tuple(slots[port.name] for port in node.inputs if port not in back),
                    back=tuple((place, slots[port.name]) for place, port in enumerate(node.inputs) if port in back),
                    feeds=tuple(slots[port.name] for port in node.outputs if port.name in fed_back),
                    outputs=tuple((place, slots[port.name]) for place, port in enumerate(node.outputs)),
                    emits=tuple((slots[port.name], port.name) for port in node.outputs if port.name in exits),
                    after=max([index, *(position[port.name] for port in back)]),
                )
            )
        self._passed_through = [port.name for port in self._definition.input_streams if port.name in exits]

    def _settle(self) -> None:
        """Start waves for the timestamps at which every input stream is settled. The lock is held."""
        while True:
            heads = [queue[0][0] for queue in self._waiting.values() if queue]
            if not heads or self._error is not None:
                break
            timestamp = min(heads)
            settled = all(
                queue or self._closing or self._bounds[name] > timestamp for name, queue in self._waiting.items()
            )
            if not settled:
                break
            slots: list[Any] = [None] * len(self._slots)
            for name, queue in self._waiting.items():
                if queue and queue[0][0] == timestamp:
                    slots[self._slots[name]] = queue.popleft()[1]
            wave = _Wave(timestamp, slots, self._last)
            self._last = wave
            self._ready.append(wave)
            self._under_way += 1
        self._lock.notify_all()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(
                    lambda: self._ready or self._error is not None or (self._closing and not self._under_way)
                )
                if self._error is not None or not self._ready:
                    return
                wave = self._ready.popleft()
            try:
                finished = self._pass(wave)
            except Exception as error:  # noqa: BLE001 - becomes the graph's error
                self._fail(error)
                return
            with self._lock:
                self._under_way -= 1
                self._bytes -= wave.nbytes
                wave.slots = []
                self._lock.notify_all()
            if not finished:
                return

    def _pass(self, wave: _Wave) -> bool:
        """Take a wave through the graph; ``False`` when the graph went into error meanwhile."""
        slots, timestamp = wave.slots, wave.timestamp
        for name in self._passed_through:
            value = slots[self._slots[name]]
            if value is not None:
                self._listener(name, value, timestamp)
        for index, step in enumerate(self._steps):
            if not self._enter(wave, step.after):
                return False
            if any([slots[slot] is not None for slot in step.forward]):
                inputs = [slots[slot] for slot in step.inputs]
                for place, slot in step.back:
                    inputs[place] = wave.before.get(slot)
                results = step.calculator.process(inputs, timestamp)
                if results:
                    for place, slot in step.outputs:
                        slots[slot] = results[place]
                    for slot, name in step.emits:
                        if slots[slot] is not None:
                            self._listener(name, slots[slot], timestamp)
            for slot in step.feeds:
                wave.feedback[slot] = slots[slot]
            self._leave(wave, index + 1)
        return True

    def _enter(self, wave: _Wave, after: int) -> bool:
        """Wait until the wave before has left step ``after``."""
        previous = wave.previous
        if previous is None:
            return self._error is None
        if previous.progress > after:
            return self._error is None
        with self._lock:
            self._lock.wait_for(lambda: previous.progress > after or self._error is not None)
            return self._error is None

    def _leave(self, wave: _Wave, progress: int) -> None:
        with self._lock:
            wave.progress = progress
            if progress == len(self._steps):
                wave.previous = None
            self._lock.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._lock:
            if self._error is None:
                code = error.code if isinstance(error, GraphError) else "INTERNAL"
                self._error = GraphError(f"CalculatorGraph::Run() failed: \n{error}", code)
                logger.debug("graph %s failed", self._definition.source, exc_info=error)
                # Without the traceback, whose frames hold this graph and its images.
                self._error.__cause__ = error.with_traceback(None)
            self._lock.notify_all()

    def _has_room(self, stream: str) -> bool:
        """Whether another packet may enter; the lock is held."""
        packets = self._under_way + len(self._waiting[stream])
        return packets < self._max_packets and (self._max_bytes is None or self._bytes < self._max_bytes)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _mismatch(self, stream: str, bound: int, timestamp: int) -> str:
        """MediaPipe's text, once for each calculator that receives from the stream."""
        consumers = [
            step.calculator.node
            for step in self._steps
            if any(port.name == stream for port in step.calculator.node.inputs)
        ]
        text = (
            f'; Packet timestamp mismatch on a calculator receiving from stream "{stream}". '
            f"Current minimum expected timestamp is {bound} but received {timestamp}. "
            "Are you using a custom InputStreamHandler? Note that some InputStreamHandlers allow timestamps that "
            "are not strictly monotonically increasing. See for example the ImmediateInputStreamHandler class comment."
        )
        return "CalculatorGraph::Run() failed: \n" + text * max(1, len(consumers))
