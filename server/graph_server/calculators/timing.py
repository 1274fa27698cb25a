"""Calculators that choose the timestamps of their outputs themselves: loopback and flow limiter.

Sources: mediapipe/calculators/core/{previous_loopback,flow_limiter}_calculator.cc.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import Emission, Ports, Services, TimedCalculator
from graph_server.graph.messages import FlowLimiterCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import ANY, BOOL, NodeTypes, with_data_alike
from graph_server.graph.timestamps import MAX_TIMESTAMP, UNSET, UNSTARTED, next_allowed


@REGISTRY.register("PreviousLoopbackCalculator")
class PreviousLoopback(TimedCalculator):
    """For every MAIN packet, gives the LOOP packet with the timestamp of the previous MAIN packet."""

    stateful = True
    inputs = Ports(required={"MAIN": ANY, "LOOP": ANY})
    outputs = Ports(required={"PREV_LOOP": ANY})

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        found = super().types(node)
        return NodeTypes(found.inputs, found.outputs, {0: node.input_index("LOOP") or 0})

    every_timestamp = True
    brief = True

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._main, self._loop = node.input_index("MAIN") or 0, node.input_index("LOOP") or 0
        # Timestamps of MAIN that wait for a result, each with the timestamp of its LOOP packet (UNSET: none).
        self._wanted: deque[tuple[int, int]] = deque()
        self._last_seen = self._last_packet = UNSTARTED
        self._found: deque[tuple[int, Any]] = deque()
        self._last_found = UNSET

    @override
    def process_timed(self, inputs: Sequence[tuple[int, Any]], timestamp: int) -> Sequence[Emission]:
        seen, packet = inputs[self._main]
        if seen > self._last_seen:
            self._wanted.append((seen, UNSET if packet is None else self._last_packet))
            self._last_seen = seen
            if packet is not None:
                self._last_packet = seen
        found, value = inputs[self._loop]
        if found > self._last_found:
            self._found.append((found, value))
            self._last_found = found
        packets: list[tuple[int, Any]] = []
        bound = UNSET
        while self._wanted and self._found:
            at, wanted = self._wanted[0]
            candidate, value = self._found[0]
            if wanted > candidate:
                self._found.popleft()
                continue
            bound = next_allowed(at)
            self._wanted.popleft()
            if wanted == candidate:
                self._found.popleft()
                if value is not None:
                    packets.append((at, value))
        return (Emission(packets, bound),)


@REGISTRY.register("FlowLimiterCalculator")
class FlowLimiter(TimedCalculator):
    """Drops frames while ``max_in_flight`` frames have not come back on FINISHED and ``max_in_queue`` frames wait.

    The first stream without a tag decides, the other ones follow it. ALLOW gives true for each frame that passes and
    false for each dropped frame.
    """

    inputs = Ports(required={"": ANY, "FINISHED": ANY})
    outputs = Ports(required={"": ANY}, optional={"ALLOW": BOOL})
    every_timestamp = True
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if len(node.data_inputs) != len(node.data_outputs):
            raise ConfigError("FlowLimiterCalculator needs the same number of data outputs and data inputs")

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        return with_data_alike(super().types(node), node)

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(FlowLimiterCalculatorOptions)
        self._most_in_flight = options.max_in_flight if options is not None else 1
        self._most_in_queue = options.max_in_queue if options is not None else 0
        self._timeout = options.in_flight_timeout if options is not None else 0
        self._data = node.data_inputs
        self._finished = node.input_index("FINISHED") or 0
        self._queues: list[deque[tuple[int, Any]]] = [deque() for _ in self._data]
        self._in_flight: deque[int] = deque()
        self._decisions: list[tuple[int, bool]] = [(UNSET, True)]

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        self._most_in_flight = side_packets.get("MAX_IN_FLIGHT", self._most_in_flight)
        return {}

    @override
    def process_timed(self, inputs: Sequence[tuple[int, Any]], timestamp: int) -> Sequence[Emission]:
        finished = inputs[self._finished][0]
        if finished == timestamp:
            self._forget(lambda sent: sent <= finished)
        for queue, index in self._streams():
            if inputs[index][1] is not None:
                queue.append(inputs[index])
        latest = inputs[self._data[0]][0]
        if self._timeout > 0 and timestamp == latest < MAX_TIMESTAMP:
            self._forget(lambda sent: latest - sent > self._timeout)
        main = self._queues[0]
        packets: list[tuple[int, Any]] = []
        decisions: list[tuple[int, bool]] = []
        while main and len(self._in_flight) < self._most_in_flight:
            packets.append(main.popleft())
            self._in_flight.append(packets[-1][0])
            decisions.append((packets[-1][0], True))
        while len(main) > self._most_in_queue:
            decisions.append((main.popleft()[0], False))
        self._decisions += decisions
        bounds = [queue[0][0] if queue else next_allowed(inputs[index][0]) for queue, index in self._streams()]
        emissions = [Emission(packets, bounds[0])]
        for place in range(1, len(self._data)):
            emissions.append(self._follow(place, inputs[self._data[place]][0], bounds[0]))
        allow = self.node.output_index("ALLOW")
        if allow is not None:
            emissions.insert(allow, Emission(decisions, bounds[0]))
        # Keep the last decision before the lowest bound, and all later ones.
        del self._decisions[: self._decision_before(min(bounds))]
        return emissions

    def _follow(self, place: int, latest: int, bound: int) -> Emission:
        """The packets of another stream that belong to frames that passed."""
        queue = self._queues[place]
        packets = []
        while queue and queue[0][0] < bound:
            packet = queue.popleft()
            if self._decisions[self._decision_before(packet[0])][1]:
                packets.append(packet)
        return Emission(packets, queue[0][0] if queue else next_allowed(latest))

    def _decision_before(self, timestamp: int) -> int:
        return bisect_right(self._decisions, timestamp, key=lambda decision: decision[0]) - 1

    def _streams(self) -> list[tuple[deque[tuple[int, Any]], int]]:
        return list(zip(self._queues, self._data, strict=True))

    def _forget(self, over: Callable[[int], bool]) -> None:
        while self._in_flight and over(self._in_flight[0]):
            self._in_flight.popleft()
