"""Moves packets between nodes and decides which node runs next. Pure: no threads, no clock.

A node's policy (:mod:`~graph_server.graph.policies`) decides when the node may run. A node that gives no packet for a
timestamp settles that timestamp for the nodes behind it. They need no call to learn that no packet will come.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

from graph_server.errors import GraphError
from graph_server.graph.calculator import Calculator, Emission
from graph_server.graph.policies import InputQueue, NodeState, TimedState, state_of
from graph_server.graph.timestamps import DONE, next_allowed

Task = tuple[int, int, int, NodeState, list[Any]]
"""The turn, the node's place in the order, the timestamp, the node and its inputs. The oldest turn runs first."""

_PACKET_BYTES = 1024  # a packet's memory beside its value


class Dataflow:
    """All nodes of a graph, in order of priority, and the calls that are ready. Use it from one thread at a time.

    A timestamp is *in progress* while one of its packets waits or is processed. ``nbytes`` is the memory of the input
    packets of those timestamps.
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
    def in_progress(self) -> int:
        """The number of timestamps in progress."""
        return len(self._packets)

    def pop(self) -> Task:
        """The next call to make. After the call, :meth:`done` takes its results."""
        return heappop(self.ready)

    def add(self, stream: str, value: Any, timestamp: int) -> None:
        """Add a packet of a graph's input stream. The timestamps of a stream must rise."""
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
        """Close a graph's input stream: no more packets will come."""
        for queue in self.inputs[stream]:
            queue.bound = DONE
        self._check([queue.state for queue in self.inputs[stream]])

    def done(self, state: NodeState, timestamp: int, results: Sequence[Any]) -> None:
        """Take a node's results. Raises :class:`GraphError` for packets in the past."""
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
        """Remove the references from queues to nodes, so that Python frees an ended flow at once."""
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
        """Queue the calls that are now possible, and pass on timestamps that are settled without a call."""
        for state in touched:  # the list grows in the loop
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
    """MediaPipe's error text for a packet in the past."""
    return (
        f'Packet timestamp mismatch on a calculator receiving from stream "{stream}". '
        f"Current minimum expected timestamp is {bound} but received {timestamp}. "
        "Are you using a custom InputStreamHandler? Note that some InputStreamHandlers allow timestamps that "
        "are not strictly monotonically increasing. See for example the ImmediateInputStreamHandler class comment."
    )
