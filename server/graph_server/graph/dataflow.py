"""Packets on their way: which node runs next, and with what. Pure: no threads, no clock.

When a node may run is its policy's to say (:mod:`~graph_server.graph.policies`). What it does not answer is settled
too, so absence travels as packets do, without a call.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

from graph_server.errors import GraphError
from graph_server.graph.calculator import Calculator, Emission
from graph_server.graph.policies import InputQueue, NodeState, TimedState, state_of
from graph_server.graph.timestamps import DONE, next_allowed

Task = tuple[int, int, int, NodeState, list[Any]]
"""Whose turn it has, the node's place in order, its timestamp, the node, its inputs: the oldest turn comes first."""

_PACKET_BYTES = 1024  # what is around a value


class Dataflow:
    """All nodes of a graph, in order of priority, and what is ready. For one thread at a time.

    A timestamp is *under way* while a packet of it waits or is worked on; ``nbytes`` is what its input packets cost.
    """

    def __init__(self, calculators: Sequence[Calculator], inputs: Iterable[str]) -> None:
        self.states = [state_of(calculator, place) for place, calculator in enumerate(calculators)]
        self.ready: list[Task] = []
        self.nbytes = 0
        self._packets: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self.inputs: dict[str, list[InputQueue]] = {name: [] for name in inputs}
        streams = dict(self.inputs)
        for state in self.states:
            for port, consumers in zip(state.calculator.node.outputs, state.outputs, strict=True):
                streams[port.name] = consumers
        for state in self.states:
            for port, queue in zip(state.calculator.node.inputs, state.inputs, strict=True):
                streams[port.name].append(queue)
        lags = dict.fromkeys(self.states, 0)
        for state in self.states:
            lags[state] += state.calculator.slack
            for other in (queue.state for consumers in state.outputs for queue in consumers):
                if other.place > state.place:
                    lags[other] = max(lags[other], lags[state])
        most = max(lags.values(), default=0)
        for state, lag in lags.items():
            state.lead = most - lag

    @property
    def under_way(self) -> int:
        """How many timestamps are under way."""
        return len(self._packets)

    def pop(self) -> Task:
        """The next call to make; it ends with :meth:`done`."""
        return heappop(self.ready)

    def add(self, stream: str, value: Any, timestamp: int) -> None:
        """A packet of a graph's input stream; its timestamps rise."""
        consumers = self.inputs[stream]
        if consumers:
            size = _PACKET_BYTES + int(getattr(value, "nbytes", 0))
            self.nbytes += size
            self._sizes[timestamp] = self._sizes.get(timestamp, 0) + size
        bound = next_allowed(timestamp)
        for queue in consumers:
            self._append(queue, timestamp, value)
            queue.bound = bound
        self._check([queue.state for queue in consumers])

    def close(self, stream: str) -> None:
        """No packet of a graph's input stream will come any more."""
        for queue in self.inputs[stream]:
            queue.bound = DONE
        self._check([queue.state for queue in self.inputs[stream]])

    def done(self, state: NodeState, timestamp: int, results: Sequence[Any]) -> None:
        """A node's answer; raises :class:`GraphError` for packets in the past."""
        state.busy = False
        touched = [state]
        if isinstance(state, TimedState):
            self._emit(state, results, touched)
        else:
            bound = next_allowed(timestamp)
            if bound <= state.bound and any(value is not None for value in results):
                raise GraphError(mismatch(state.calculator.node.outputs[0].name, state.bound, timestamp))
            bound = state.bound = max(bound, state.bound)
            for place, consumers in enumerate(state.outputs):
                value = results[place] if results else None
                for queue in consumers:
                    if value is not None:
                        self._append(queue, timestamp, value)
                    queue.bound = bound
                    touched.append(queue.state)
        self._release(timestamp, state.taken)
        self._check(touched)

    def unlink(self) -> None:
        """For a flow that has ended: nodes and queues no longer refer to one another, so they go at once."""
        for state in self.states:
            for queue in state.inputs:
                del queue.state

    def _emit(self, state: NodeState, emissions: Sequence[Emission], touched: list[NodeState]) -> None:
        for consumers, emission in zip(state.outputs, emissions, strict=True):
            for queue in consumers:
                for timestamp, value in emission.packets:
                    self._append(queue, timestamp, value)
                queue.bound = max(queue.bound, emission.bound)
                touched.append(queue.state)

    def _append(self, queue: InputQueue, timestamp: int, value: Any) -> None:
        queue.packets.append((timestamp, value))
        self._packets[timestamp] = self._packets.get(timestamp, 0) + 1

    def _release(self, timestamp: int, packets: int) -> None:
        left = self._packets.get(timestamp, 0) - packets
        if left:
            self._packets[timestamp] = left
        elif packets:
            del self._packets[timestamp]
            self.nbytes -= self._sizes.pop(timestamp, 0)

    def _check(self, touched: list[NodeState]) -> None:
        """Queue the calls that have become possible, and pass on what has been settled without one."""
        for state in touched:  # grows while it is walked
            if state.busy:
                continue
            timestamp = state.ready()
            if timestamp is not None:
                state.busy = True
                heappush(self.ready, (state.turn(timestamp), state.place, timestamp, state, state.take(timestamp)))
            elif state.settled > state.bound and not isinstance(state, TimedState):
                state.bound = state.settled
                for consumers in state.outputs:
                    for queue in consumers:
                        queue.bound = state.bound
                        touched.append(queue.state)


def mismatch(stream: str, bound: int, timestamp: int) -> str:
    """MediaPipe's text for a packet in the past."""
    return (
        f'Packet timestamp mismatch on a calculator receiving from stream "{stream}". '
        f"Current minimum expected timestamp is {bound} but received {timestamp}. "
        "Are you using a custom InputStreamHandler? Note that some InputStreamHandlers allow timestamps that "
        "are not strictly monotonically increasing. See for example the ImmediateInputStreamHandler class comment."
    )
