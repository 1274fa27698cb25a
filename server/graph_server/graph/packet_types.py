"""Packet types of streams, and the check that connected ports have the same type.

Types have MediaPipe's C++ names. Sources: framework/packet_type.{h,cc}, framework/validated_graph_config.cc
(ResolveAnyTypes, ValidateStreamTypes). For streams of the graph: OVMS's src/mediapipe_internal/mediapipe_utils.cpp.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graph_server.errors import ConfigError
from graph_server.graph.node import Node, Port

PacketType = frozenset[str]
"""The names of the types that a port takes. MediaPipe's ``OneOf`` has several names. An empty set is any type."""


def _one(name: str) -> PacketType:
    return frozenset((name,))


ANY: PacketType = frozenset()
BOOL = _one("bool")
DETECTION = _one("mediapipe::Detection")
DOUBLE = _one("double")
FLOAT = _one("float")
IMAGE = _one("mediapipe::Image")
IMAGE_FRAME = _one("mediapipe::ImageFrame")
INT = _one("int")
LANDMARK = _one("mediapipe::Landmark")
LANDMARKS = _one("mediapipe::LandmarkList")
MATRIX = _one("std::array<float, 16>")
MP_TENSOR = _one("mediapipe::Tensor")
NORM_LANDMARK = _one("mediapipe::NormalizedLandmark")
NORM_LANDMARKS = _one("mediapipe::NormalizedLandmarkList")
NORM_RECT = _one("mediapipe::NormalizedRect")
OV_TENSOR = _one("ov::Tensor")
PADDING = _one("std::array<float, 4>")
PY_TENSOR = _one("PyObjectWrapper<py::object>")
RECT = _one("mediapipe::Rect")
RENDER_DATA = _one("mediapipe::RenderData")
REQUEST = _one("const KFSRequest*")
RESPONSE = _one("KFSResponse")
SIZE = _one("std::pair<int, int>")
STRING = _one("std::string")
TF_TENSOR = _one("tensorflow::Tensor")

_OF_GRAPH_TAGS = {
    "REQUEST": REQUEST,
    "RESPONSE": RESPONSE,
    "TENSOR": MP_TENSOR,
    "OVTENSOR": OV_TENSOR,
    "OVMS_PY_TENSOR": PY_TENSOR,
    "IMAGE": IMAGE_FRAME,
}


def vector_of(element: PacketType) -> PacketType:
    """The type ``std::vector`` of ``element``, which has one name."""
    (name,) = element
    return _one(f"std::vector<{name}>")


def of_graph_port(port: Port) -> PacketType:
    """The type that OVMS uses for a stream of the graph, by its tag. Without a known tag it is ``ov::Tensor``."""
    return next((kind for tag, kind in _OF_GRAPH_TAGS.items() if port.tag.startswith(tag)), OV_TENSOR)


@dataclass(frozen=True, slots=True)
class NodeTypes:
    """The types of a node's ports, in the order of the node's text.

    ``same`` maps the position of an output to the position of the input with the same type (``SetSameAs``).
    """

    inputs: Sequence[PacketType]
    outputs: Sequence[PacketType]
    same: Mapping[int, int] = field(default_factory=dict)


def with_data_alike(types: NodeTypes, node: Node) -> NodeTypes:
    """``types``, but each output without a tag has the type of the input without a tag in the same place."""
    return NodeTypes(types.inputs, types.outputs, dict(zip(node.data_outputs, node.data_inputs, strict=True)))


@dataclass(frozen=True, slots=True)
class StreamTypes:
    """The types of a graph's own streams by name. An input has the type that its consumers take."""

    inputs: Mapping[str, PacketType]
    outputs: Mapping[str, PacketType]


class _Cell:
    """The type of a port. Ports that must have the same type share a root cell."""

    __slots__ = ("given", "kind", "parent")

    def __init__(self, kind: PacketType, given: PacketType = ANY) -> None:
        self.parent: _Cell | None = None
        self.kind = kind
        self.given = given

    def root(self) -> "_Cell":
        cell = self
        while cell.parent is not None:
            cell = cell.parent
        return cell


def check_types(
    order: Sequence[Node], types: Mapping[str, NodeTypes], inputs: Sequence[Port], outputs: Sequence[Port]
) -> StreamTypes:
    """Compare the types of all connected ports. ``types`` has the name of the node as key.

    Raises :class:`ConfigError` where MediaPipe refuses to load the graph.
    """
    # MediaPipe does not know the types of the graph's inputs when it loads. It sees them with the first packet.
    producers = {port.name: _Cell(ANY, of_graph_port(port)) for port in inputs}
    edges = [*_edges(order, types, producers)]
    for _, _, consumer, name in edges:
        producer = producers[name]
        consumer_root, producer_root = consumer.root(), producer.root()
        if consumer_root is producer_root:
            continue
        if not consumer_root.kind:
            consumer_root.parent = producer_root
        elif not producer_root.kind:
            producer_root.kind = consumer_root.kind
    for node, port, consumer, name in edges:
        wanted, made = consumer.root().kind, producers[name].root().kind
        if not consistent(wanted, made):
            raise ConfigError(
                f'{node.where()}: Input stream "{port.name}" of calculator "{node.calculator}" expects packets of '
                f'type "{named(wanted)}" but the connected output stream will contain packets of type "{named(made)}"'
            )
    held = {port.name: producers[port.name].root() for port in outputs}
    return StreamTypes(
        {port.name: producers[port.name].root().kind for port in inputs},
        {name: root.kind or root.given for name, root in held.items()},
    )


def _edges(
    order: Sequence[Node], types: Mapping[str, NodeTypes], producers: dict[str, _Cell]
) -> Iterator[tuple[Node, Port, _Cell, str]]:
    """Every input port with its node, cell and stream. Adds the cells of outputs to ``producers``."""
    for node in order:
        own = types[node.name]
        cells = [_Cell(kind) for kind in own.inputs]
        for place, (port, kind) in enumerate(zip(node.outputs, own.outputs, strict=True)):
            cell = _Cell(kind)
            if place in own.same:
                cell.parent = cells[own.same[place]]
            producers[port.name] = cell
        for port, cell in zip(node.inputs, cells, strict=True):
            yield node, port, cell, port.name


def consistent(one: PacketType, other: PacketType) -> bool:
    """Whether ports with these two types may be connected."""
    return not one or not other or bool(one & other)


def named(kind: PacketType) -> str:
    """The name of the type in error messages."""
    return " or ".join(sorted(kind)) or "[Any Type]"
