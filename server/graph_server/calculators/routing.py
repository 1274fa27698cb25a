"""Calculators that pass packets on, block them or merge them, and the small ones that control this.

Sources: mediapipe/calculators/core/{pass_through,constant_side_packet,gate,merge,packet_presence}_calculator.cc and
calculators/util/thresholding_calculator.cc.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import (
    ConstantSidePacketCalculatorOptions,
    GateCalculatorOptions,
    ThresholdingCalculatorOptions,
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import ANY, BOOL, DOUBLE, FLOAT, IMAGE_FRAME, SIZE, NodeTypes, with_data_alike


@REGISTRY.register("PassThroughCalculator")
class PassThrough(Calculator):
    """Passes every input to the output in the same place, and side packets too."""

    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if len(node.inputs) != len(node.outputs):
            raise ConfigError("PassThroughCalculator needs as many outputs as inputs")

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        anything = [ANY] * len(node.inputs)
        return NodeTypes(anything, anything, {place: place for place in range(len(node.inputs))})

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        return side_packets

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        return inputs


@REGISTRY.register("ConstantSidePacketCalculator")
class ConstantSidePacket(Calculator):
    """Gives side packets with values from the options: numbers, booleans, strings and lists of strings."""

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        packets = node.options.of(ConstantSidePacketCalculatorOptions).packet
        if len(node.output_side_packets) != len(packets):
            raise ConfigError(
                "Number of output side packets has to be same as number of packets configured in options."
            )
        if any(packet.WhichOneof("value") is None for packet in packets):
            raise ConfigError("None of supported values were specified in options.")
        if any(port.tag != "PACKET" for port in node.output_side_packets):
            raise ConfigError(f"{node.calculator}: output side packets must have the tag PACKET")

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        made = {}
        packets = self.node.options.of(ConstantSidePacketCalculatorOptions).packet
        for port, packet in zip(self.node.output_side_packets, packets, strict=True):
            kind = packet.WhichOneof("value")
            value = getattr(packet, kind)
            made[port.key] = list(value.string_value) if kind == "string_vector_value" else value
        return made


@REGISTRY.register("ImagePropertiesCalculator")
class ImageProperties(Calculator):
    """The size of an image: (width, height)."""

    inputs = Ports(optional={"IMAGE": IMAGE_FRAME, "IMAGE_CPU": IMAGE_FRAME})
    outputs = Ports(required={"SIZE": SIZE})
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if len(node.inputs) != 1:
            raise ConfigError("ImagePropertiesCalculator needs exactly one input stream, IMAGE or IMAGE_CPU")

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[0]
        return ((image.shape[1], image.shape[0]),)


@REGISTRY.register("PacketPresenceCalculator")
class PacketPresence(Calculator):
    """Whether the stream has a packet, for every settled timestamp."""

    inputs = Ports(required={"PACKET": ANY})
    outputs = Ports(required={"PRESENCE": BOOL})
    every_timestamp = True
    brief = True

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        return (inputs[0] is not None,)


@REGISTRY.register("GateCalculator")
class Gate(Calculator):
    """Passes its data streams while ALLOW is true, or while DISALLOW is false.

    This control is a stream or a side packet.
    """

    inputs = Ports(optional={"": ANY, "ALLOW": BOOL, "DISALLOW": BOOL})
    outputs = Ports(optional={"": ANY, "STATE_CHANGE": BOOL})
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if len(node.data_inputs) != len(node.data_outputs):
            raise ConfigError("Number of data output streams must match with data input streams.")
        if sum(1 for port in (*node.inputs, *node.input_side_packets) if port.tag in ("ALLOW", "DISALLOW")) > 1:
            raise ConfigError("GateCalculator takes one control, ALLOW or DISALLOW, from a stream or a side packet")

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        return with_data_alike(super().types(node), node)

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(GateCalculatorOptions)
        self._default = bool(options.empty_packets_as_allow) if options is not None else False
        allow, disallow = node.input_index("ALLOW"), node.input_index("DISALLOW")
        self._control = allow if allow is not None else disallow
        self._sense = allow is not None
        # The options decide if there is no control.
        self._fixed = bool(options.allow) if options is not None else False
        self._data = node.data_inputs
        self._change = node.output_index("STATE_CHANGE")
        self._last = None if options is None else {2: True, 3: False}.get(options.initial_gate_state)

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        if side_packets:
            tag, value = next(iter(side_packets.items()))
            self._fixed = bool(value) == (tag == "ALLOW")
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        allowed = self._fixed
        if self._control is not None:
            control = inputs[self._control]
            allowed = self._default if control is None else bool(control) == self._sense
        if self._change is None:
            return [inputs[index] for index in self._data] if allowed else NOTHING
        values = [inputs[index] if allowed else None for index in self._data]
        values.insert(self._change, None if self._last in (None, allowed) else allowed)
        self._last = allowed
        return values


@REGISTRY.register("MergeCalculator")
class Merge(Calculator):
    """Passes the packet of the first input that has one."""

    inputs = Ports(required={"": ANY})
    outputs = Ports(required={"": ANY})
    brief = True

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        return (next((value for value in inputs if value is not None), None),)


@REGISTRY.register("ThresholdingCalculator")
class Thresholding(Calculator):
    """Whether a number is above a threshold. FLAG gives both answers, ACCEPT only true, REJECT only false."""

    inputs = Ports(required={"FLOAT": FLOAT}, optional={"THRESHOLD": DOUBLE})
    outputs = Ports(optional={"FLAG": BOOL, "ACCEPT": BOOL, "REJECT": BOOL})
    brief = True

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(ThresholdingCalculatorOptions)
        self._threshold = options.threshold if options is not None else 0.0
        self._float = node.input_index("FLOAT") or 0
        self._given = node.input_index("THRESHOLD")

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        self._threshold = side_packets.get("THRESHOLD", self._threshold)
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        if self._given is not None and inputs[self._given] is not None:
            self._threshold = inputs[self._given]
        value = inputs[self._float]
        if value is None:
            return NOTHING
        accept = value > self._threshold
        answers = {"FLAG": accept, "ACCEPT": accept or None, "REJECT": None if accept else False}
        return [answers[port.tag] for port in self.node.outputs]
