"""Calculators that split and concatenate vectors."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import (
    ConcatenateVectorCalculatorOptions,
    SplitVectorCalculatorOptions,
    TensorsToFloatsCalculatorOptions,
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import (
    ANY,
    BOOL,
    DETECTION,
    FLOAT,
    IMAGE,
    INT,
    LANDMARK,
    LANDMARKS,
    MP_TENSOR,
    NORM_LANDMARK,
    NORM_LANDMARKS,
    NORM_RECT,
    RENDER_DATA,
    STRING,
    NodeTypes,
    vector_of,
)

_SPLIT_TYPES = {
    "SplitDetectionVectorCalculator": (vector_of(DETECTION), DETECTION),
    "SplitNormalizedLandmarkListCalculator": (NORM_LANDMARKS, NORM_LANDMARK),
    "SplitLandmarkListCalculator": (LANDMARKS, LANDMARK),
    "SplitNormalizedRectVectorCalculator": (vector_of(NORM_RECT), NORM_RECT),
    "SplitNormalizedLandmarkListVectorCalculator": (vector_of(NORM_LANDMARKS), NORM_LANDMARKS),
    "SplitLandmarkVectorCalculator": (vector_of(LANDMARK), LANDMARK),
    "SplitFloatVectorCalculator": (vector_of(FLOAT), FLOAT),
    "SplitTensorVectorCalculator": (vector_of(MP_TENSOR), MP_TENSOR),
}
"""The vector type of each calculator, and the type of its elements."""


@REGISTRY.register(
    "SplitDetectionVectorCalculator",
    "SplitNormalizedLandmarkListCalculator",
    "SplitLandmarkListCalculator",
    "SplitNormalizedRectVectorCalculator",
    "SplitNormalizedLandmarkListVectorCalculator",
    "SplitLandmarkVectorCalculator",
    "SplitFloatVectorCalculator",
)
class SplitVector(Calculator):
    """Gives ranges of a vector: slices, or single elements with ``element_only``."""

    inputs = Ports(required={"": ANY})
    outputs = Ports(required={"": ANY})
    brief = True
    takes: ClassVar[bool] = False
    """Whether the elements are moved out of the vector, not copied."""

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        """Check that the ranges fit the outputs, and do not overlap where elements are combined or moved."""
        options = node.options.of(SplitVectorCalculatorOptions)
        ranges = [(item.begin, item.end) for item in options.ranges]
        if any(not 0 <= begin < end for begin, end in ranges) or not ranges:
            raise ConfigError(f"{node.calculator} needs ranges with 0 <= begin < end")
        if options.combine_outputs and len(node.outputs) != 1:
            raise ConfigError(f"{node.calculator} must have exactly one output with combine_outputs")
        if not options.combine_outputs and len(ranges) != len(node.outputs):
            raise ConfigError(f"{node.calculator} has {len(ranges)} ranges for {len(node.outputs)} outputs")
        if options.element_only and not options.combine_outputs and any(end - begin != 1 for begin, end in ranges):
            raise ConfigError("Since element_only is true, all ranges should be of size 1")
        ordered = sorted(ranges)
        if (options.combine_outputs or cls.takes) and any(a[1] > b[0] for a, b in itertools.pairwise(ordered)):
            raise ConfigError(f"the ranges of {node.calculator} must not overlap")

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        options = node.options.of(SplitVectorCalculatorOptions)
        vector, element = _SPLIT_TYPES[node.calculator]
        return NodeTypes([vector] * len(node.inputs), [element if options.element_only else vector] * len(node.outputs))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.of(SplitVectorCalculatorOptions)
        self._ranges = [(item.begin, item.end) for item in options.ranges]
        self._element_only = options.element_only
        self._combine = options.combine_outputs

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        vector = inputs[0]
        if len(vector) < max(end for _, end in self._ranges):
            raise GraphError(f"a vector with {len(vector)} elements is too short for the ranges")
        if self._combine:
            parts = [vector[begin:end] for begin, end in self._ranges]
            return (
                np.concatenate(parts) if isinstance(vector, np.ndarray) else [item for part in parts for item in part],
            )
        if self._element_only:
            return [vector[begin] for begin, _ in self._ranges]
        return [vector[begin:end] for begin, end in self._ranges]


@REGISTRY.register("SplitTensorVectorCalculator")
class SplitTensorVector(SplitVector):
    """Like :class:`SplitVector`, but it moves the tensors out of the packet. So no other node may read that packet."""

    takes = True

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        stream = self.node.inputs[0].name
        if len(self.services.consumers.get(stream, ())) > 1:
            raise GraphError(
                f"Packet isn't the sole owner of the holder: {stream!r} has another consumer, "
                "which must read a split tensor instead"
            )
        return {}


_LANDMARK_LISTS = {
    "ConcatenateNormalizedLandmarkListCalculator": NORM_LANDMARKS,
    "ConcatenateLandmarkListCalculator": LANDMARKS,
}
_ELEMENTS = {
    "ConcatenateDetectionVectorCalculator": DETECTION,
    "ConcatenateTensorVectorCalculator": MP_TENSOR,
    "ConcatenateFloatVectorCalculator": FLOAT,
    "ConcatenateInt32VectorCalculator": INT,
    "ConcatenateBoolVectorCalculator": BOOL,
    "ConcatenateStringVectorCalculator": STRING,
    "ConcatenateNormalizedLandmarkListVectorCalculator": NORM_LANDMARKS,
    "ConcatenateLandmarkListVectorCalculator": LANDMARKS,
    "ConcatenateLandmarkVectorCalculator": LANDMARK,
    "ConcatenateRenderDataVectorCalculator": RENDER_DATA,
    "ConcatenateImageVectorCalculator": IMAGE,
    "ConcatenateNormalizedRectVectorCalculator": NORM_RECT,
}


@REGISTRY.register(*_LANDMARK_LISTS, *_ELEMENTS)
class ConcatenateVector(Calculator):
    """Joins vectors and single elements in order. Landmark lists stay arrays [n, 5]."""

    inputs = Ports(required={"": ANY})
    outputs = Ports(required={"": ANY})

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        """Each input is a vector or an element. The inputs of landmark lists must be lists."""
        whole = _LANDMARK_LISTS.get(node.calculator)
        if whole is not None:
            return NodeTypes([whole] * len(node.inputs), [whole])
        element = _ELEMENTS[node.calculator]
        return NodeTypes([element | vector_of(element)] * len(node.inputs), [vector_of(element)])

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(ConcatenateVectorCalculatorOptions)
        self._all_or_none = options is not None and options.only_emit_if_all_present
        self._arrays = node.calculator in _LANDMARK_LISTS

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        present = [value for value in inputs if value is not None]
        if self._all_or_none and len(present) < len(inputs):
            return NOTHING
        if self._arrays:
            return (np.concatenate(present),)
        joined: list[Any] = []
        for value in present:
            joined += value if isinstance(value, (list, tuple)) else [value]
        return (joined,)


@REGISTRY.register("TensorsToFloatsCalculator")
class TensorsToFloats(Calculator):
    """Gives the values of the first tensor: the first one as FLOAT, or all as FLOATS."""

    inputs = Ports(required={"TENSORS": vector_of(MP_TENSOR)})
    outputs = Ports(optional={"FLOAT": FLOAT, "FLOATS": vector_of(FLOAT)})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(TensorsToFloatsCalculatorOptions)
        self._sigmoid = options is not None and options.activation == 1
        self._one = node.output_index("FLOAT") is not None

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        values = [float(value) for value in inputs[0][0].reshape(-1)]
        if self._sigmoid:
            values = [1.0 / (1.0 + math.exp(-value)) for value in values]
        return (values[0] if self._one else values,)
