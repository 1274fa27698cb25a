"""How a node waits for its inputs: MediaPipe's input policies. Pure: no threads, no clock.

Source: framework/input_stream_handler.cc, input_stream_manager.cc and stream_handler/*.cc. Every input of a
node is a queue of packets with a *bound*, the lowest timestamp at which a packet may still come. Under the
default policy a node runs at the lowest timestamp of its packets once every other input is settled there.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from graph_server.errors import GraphError
from graph_server.graph.calculator import Calculator, TimedCalculator
from graph_server.graph.timestamps import DONE, PRE_STREAM, UNSTARTED, last_settled


class InputQueue:
    """One input of one node."""

    __slots__ = ("bound", "packets", "state")

    def __init__(self, state: "NodeState") -> None:
        self.state = state
        self.packets: deque[tuple[int, Any]] = deque()
        self.bound = PRE_STREAM


class NodeState:
    """A node between its calls, under MediaPipe's default policy.

    ``busy`` from the moment it is found ready until its answer is in, with ``taken`` packets. ``bound`` is what
    its outputs have been told; ``settled`` what its inputs would allow. It takes its turn ``lead`` timestamps ahead.
    """

    __slots__ = (
        "_blocker", "_calls", "bound", "busy", "calculator", "inputs", "lead", "outputs", "place", "settled", "taken"
    )  # fmt: skip

    def __init__(self, calculator: Calculator, place: int) -> None:
        self.calculator = calculator
        self.place = place
        self.inputs = [InputQueue(self) for _ in calculator.node.inputs]
        self.outputs: list[list[InputQueue]] = [[] for _ in calculator.node.outputs]
        self.busy = False
        self.taken = 0
        self.bound = PRE_STREAM
        self.settled = PRE_STREAM
        self.lead = 0
        self._calls: deque[int] = deque()
        self._blocker: InputQueue | None = None

    def turn(self, timestamp: int) -> int:
        """The timestamp whose turn a call at ``timestamp`` has: that of its call before, with a ``lead`` of 1."""
        self._calls.append(timestamp)
        ahead = self._calls.popleft() if len(self._calls) > self.lead else self._calls[0]
        return min(ahead, timestamp)  # inputs that do not wait for one another are called back and forth

    def ready(self) -> int | None:
        """The timestamp at which it can run, if it can."""
        blocker = self._blocker
        if blocker is not None and not blocker.packets and blocker.bound <= self.bound:
            self.settled = self.bound  # the input that was missing last time still is
            return None
        packet = bound = DONE
        for queue in self.inputs:
            if queue.packets:
                packet = min(packet, queue.packets[0][0])
            elif queue.bound < bound:
                bound = queue.bound
                self._blocker = queue
        self.settled = bound
        return packet if packet < bound else None

    def take(self, timestamp: int) -> list[Any]:
        """Its inputs' values at ``timestamp``, ``None`` where there is none."""
        values: list[Any] = []
        self.taken = 0
        for queue in self.inputs:
            packets = queue.packets
            if packets and packets[0][0] == timestamp:
                values.append(packets.popleft()[1])
                self.taken += 1
            else:
                values.append(None)
        return values

    def run(self, values: list[Any], timestamp: int) -> Sequence[Any]:
        """Call the calculator."""
        results = self.calculator.process(values, timestamp)
        if results and len(results) != len(self.outputs):
            raise GraphError(f"{len(results)} values for {len(self.outputs)} output streams")
        return results


class BoundState(NodeState):
    """Runs where timestamps are settled, packets or none (``SetProcessTimestampBounds``).

    As in MediaPipe, timestamps without packets that are settled by the time it can run are one call, at the last.
    """

    __slots__ = ("_last",)

    def __init__(self, calculator: Calculator, place: int) -> None:
        super().__init__(calculator, place)
        self._last = UNSTARTED

    def ready(self) -> int | None:
        """The timestamp at which it can run, if it can."""
        timestamp = super().ready()
        if timestamp is None:
            if self.settled == DONE:
                return None
            timestamp = last_settled(self.settled)
        if timestamp <= self._last:
            return None
        self._last = timestamp
        return timestamp


class SyncSetState(NodeState):
    """Waits only within sets of inputs: each input a set of its own is the immediate policy.

    Sets that are ready at the same timestamp share a call, as under MediaPipe's ImmediateInputStreamHandler;
    its SyncSetInputStreamHandler would call once for each.
    """

    __slots__ = ("_lasts", "_sets", "_waiting")

    def __init__(self, calculator: Calculator, place: int, sets: Sequence[Sequence[int]]) -> None:
        super().__init__(calculator, place)
        self._sets = [[self.inputs[index] for index in members] for members in sets]
        self._lasts = [UNSTARTED] * len(sets)
        self._waiting: list[int | None] = [None] * len(sets)

    def ready(self) -> int | None:
        """The timestamp at which it can run, if it can."""
        self.settled = DONE
        for place, members in enumerate(self._sets):
            if self._waiting[place] is None:
                self._waiting[place] = self._set_ready(place, members)
        found = [timestamp for timestamp in self._waiting if timestamp is not None]
        return min(found, default=None)

    def _set_ready(self, place: int, members: list[InputQueue]) -> int | None:
        packet = min((queue.packets[0][0] for queue in members if queue.packets), default=DONE)
        bound = min((queue.bound for queue in members if not queue.packets), default=DONE)
        self.settled = min(self.settled, packet, bound)
        timestamp = packet
        if packet >= bound:
            if not self.calculator.every_timestamp:
                return None
            timestamp = last_settled(bound)
        if timestamp <= self._lasts[place]:
            return None
        self._lasts[place] = timestamp
        return timestamp

    def take(self, timestamp: int) -> list[Any]:
        """The values of the sets that are ready at ``timestamp``."""
        values: list[Any] = [None] * len(self.inputs)
        self.taken = 0
        due = self._due(timestamp)
        for index, queue in enumerate(self.inputs):
            if queue in due and queue.packets and queue.packets[0][0] == timestamp:
                values[index] = queue.packets.popleft()[1]
                self.taken += 1
        return values

    def _due(self, timestamp: int) -> list[InputQueue]:
        due: list[InputQueue] = []
        for place, members in enumerate(self._sets):
            if self._waiting[place] == timestamp:
                self._waiting[place] = None
                due += members
        return due


class TimedState(SyncSetState):
    """A node that answers at timestamps of its own choice."""

    __slots__ = ()

    def __init__(self, calculator: TimedCalculator, place: int) -> None:
        everything = range(len(calculator.node.inputs))
        alone = [(index,) for index in everything]
        told = calculator.node.sync_sets or (tuple(everything),)
        super().__init__(calculator, place, told if calculator.waits_as_told else alone)

    def take(self, timestamp: int) -> list[Any]:
        """Pairs of a timestamp and a value; without a value: how far the input is settled."""
        values: list[Any] = []
        self.taken = 0
        due = self._due(timestamp)
        for queue in self.inputs:
            packets = queue.packets
            if queue not in due:
                values.append((last_settled(packets[0][0] if packets else queue.bound), None))
            elif packets and packets[0][0] == timestamp:
                values.append(packets.popleft())
                self.taken += 1
            else:
                values.append((timestamp, None))
        return values

    def run(self, values: list[Any], timestamp: int) -> Sequence[Any]:
        """Call the calculator."""
        assert isinstance(self.calculator, TimedCalculator)
        return self.calculator.process_timed(values, timestamp)


def state_of(calculator: Calculator, place: int) -> NodeState:
    """The state for a calculator's policy: its own, or what the graph's text says."""
    if isinstance(calculator, TimedCalculator):
        return TimedState(calculator, place)
    if calculator.node.sync_sets is not None:
        return SyncSetState(calculator, place, calculator.node.sync_sets)
    if calculator.every_timestamp:
        return BoundState(calculator, place)
    return NodeState(calculator, place)
