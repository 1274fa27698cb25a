"""Calculators that pass packets on, or do not."""

from collections.abc import Mapping, Sequence
from typing import Any

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.node import Node


@REGISTRY.register("PassThroughCalculator")
class PassThrough(Calculator):
    """Every input to the output in the same place."""

    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        """As many outputs as inputs are needed."""
        if len(self.node.inputs) != len(self.node.outputs):
            raise GraphError(f"{self.node.where()}: PassThroughCalculator needs as many outputs as inputs")
        return side_packets

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Pass on."""
        return inputs


@REGISTRY.register("FlowLimiterCalculator")
class FlowLimiter(Calculator):
    """Passes everything: here a graph takes in no more timestamps than it works on, so none pile up."""

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Pass on the data streams; FINISHED comes last or first and has a tag."""
        data = [value for value, port in zip(inputs, self.node.inputs, strict=True) if port.tag != "FINISHED"]
        return data[: len(self.node.outputs)]


@REGISTRY.register("ImagePropertiesCalculator")
class ImageProperties(Calculator):
    """The size of an image: (width, height)."""

    inputs = Ports(optional=("IMAGE", "IMAGE_CPU"))
    outputs = Ports(required=("SIZE",))

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Measure."""
        image = inputs[0]
        return ((image.shape[1], image.shape[0]),)


@REGISTRY.register("PacketPresenceCalculator")
class PacketPresence(Calculator):
    """Whether the stream has a packet. Runs at every settled timestamp: see :class:`Gate`."""

    inputs = Ports(required=("PACKET",))
    outputs = Ports(required=("PRESENCE",))

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """A presence packet is only made of presence: absence is an empty packet downstream."""
        return (inputs[0] is not None,)


@REGISTRY.register("GateCalculator")
class Gate(Calculator):
    """Passes its data streams while ALLOW is true, or DISALLOW is not."""

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get("GateCalculatorOptions")
        self._fixed = bool(options.allow) if options is not None and options.HasField("allow") else None
        self._empty_allows = bool(options.empty_packets_as_allow) if options is not None else False
        allow, disallow = node.input_index("ALLOW"), node.input_index("DISALLOW")
        self._control = allow if allow is not None else disallow
        self._sense = allow is not None
        self._data = [index for index, port in enumerate(node.inputs) if port.tag not in ("ALLOW", "DISALLOW")]

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Open or shut."""
        if self._fixed is not None:
            allowed = self._fixed
        else:
            control = None if self._control is None else inputs[self._control]
            allowed = self._empty_allows if control is None else bool(control) == self._sense
        return [inputs[index] for index in self._data] if allowed else NOTHING


@REGISTRY.register("MergeCalculator")
class Merge(Calculator):
    """The first input that has a packet."""

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Choose."""
        return (next((value for value in inputs if value is not None), None),)


@REGISTRY.register("PreviousLoopbackCalculator")
class PreviousLoopback(Calculator):
    """What LOOP had at the timestamp before; the runtime hands it over."""

    inputs = Ports(required=("MAIN", "LOOP"))
    outputs = Ports(required=("PREV_LOOP",))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._loop = node.input_index("LOOP")

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Pass on."""
        assert self._loop is not None
        return (inputs[self._loop],)


@REGISTRY.register("ThresholdingCalculator")
class Thresholding(Calculator):
    """Whether a number is above a threshold."""

    inputs = Ports(required=("FLOAT",))
    outputs = Ports(required=("FLAG",))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get("ThresholdingCalculatorOptions")
        self._threshold = options.threshold if options is not None else 0.0

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Compare."""
        return (inputs[0] > self._threshold,)
