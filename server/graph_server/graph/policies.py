"""MediaPipe's input policies: how a node waits for its inputs. Pure: no threads, no clock.

Source: framework/input_stream_handler.cc, input_stream_manager.cc and stream_handler/*.cc. Every input of a
node is a queue of packets with a *bound*: the lowest timestamp that a later packet may have. A timestamp below the
bound is *settled*. Under the default policy a node takes the lowest timestamp of its packets. It runs when every
other input has a packet there or is settled there.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

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
    """The state of a node between its calls, under MediaPipe's default policy.

    The node is ``busy`` from the time it is ready until its results are there. It holds ``taken`` packets then.
    ``bound`` is the bound of its outputs, ``settled`` the bound that its inputs allow. The node runs ``lead``
    timestamps ahead of the others.
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
        """The turn of a call at ``timestamp``: with a ``lead`` of 1 it is the timestamp of the previous call."""
        self._calls.append(timestamp)
        ahead = self._calls.popleft() if len(self._calls) > self.lead else self._calls[0]
        return min(ahead, timestamp)  # timestamps may go back where inputs do not wait for each other

    def ready(self) -> int | None:
        """The timestamp at which the node can run, or ``None``."""
        blocker = self._blocker
        if blocker is not None and not blocker.packets and blocker.bound <= self.bound:
            self.settled = self.bound  # the input that was missing last time is still missing
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
        """The values of the inputs at ``timestamp``, ``None`` for an input without a packet."""
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
    """Runs for every settled timestamp, with or without packets (``SetProcessTimestampBounds``).

    As in MediaPipe, one call stands for all timestamps without packets that are settled by then: the last of them.
    """

    __slots__ = ("_last",)

    def __init__(self, calculator: Calculator, place: int) -> None:
        super().__init__(calculator, place)
        self._last = UNSTARTED

    @override
    def ready(self) -> int | None:
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
    """Inputs wait for each other only within a set. In the immediate policy each input is its own set.

    Sets that are ready at the same timestamp share a call, as under MediaPipe's ImmediateInputStreamHandler.
    MediaPipe's SyncSetInputStreamHandler calls the node once for each set.
    """

    __slots__ = ("_lasts", "_sets", "_waiting")

    def __init__(self, calculator: Calculator, place: int, sets: Sequence[Sequence[int]]) -> None:
        super().__init__(calculator, place)
        self._sets = [[self.inputs[index] for index in members] for members in sets]
        self._lasts = [UNSTARTED] * len(sets)
        self._waiting: list[int | None] = [None] * len(sets)

    @override
    def ready(self) -> int | None:
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

    @override
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
    """A node that chooses the timestamps of its outputs itself."""

    __slots__ = ()

    def __init__(self, calculator: TimedCalculator, place: int) -> None:
        everything = range(len(calculator.node.inputs))
        alone = [(index,) for index in everything]
        grouped = calculator.node.sync_sets or (tuple(everything),)
        super().__init__(calculator, place, grouped if calculator.uses_node_handler else alone)

    @override
    def take(self, timestamp: int) -> list[Any]:
        """Pairs of a timestamp and a value. With the value ``None`` it is the last settled timestamp."""
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

    @override
    def run(self, values: list[Any], timestamp: int) -> Sequence[Any]:
        assert isinstance(self.calculator, TimedCalculator)
        return self.calculator.process_timed(values, timestamp)


def state_of(calculator: Calculator, place: int) -> NodeState:
    """The state for a calculator's policy. The calculator or the graph's text sets the policy."""
    if isinstance(calculator, TimedCalculator):
        return TimedState(calculator, place)
    if calculator.node.sync_sets is not None:
        return SyncSetState(calculator, place, calculator.node.sync_sets)
    if calculator.every_timestamp:
        return BoundState(calculator, place)
    return NodeState(calculator, place)
