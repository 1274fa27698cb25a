"""A graph's text, parsed and validated."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from graph_server.errors import ConfigError
from graph_server.graph.calculator import Registry
from graph_server.graph.node import Node, Port

_QUEUE_DIRECTIVE = re.compile(r"^\s*#\s*OVMS_GRAPH_QUEUE_MAX_SIZE\s*:\s*(AUTO|\d+)\s*$", re.MULTILINE)
DEFAULT_QUEUE_SIZE = 100  # MediaPipe's (framework/calculator_graph.cc)


@dataclass(frozen=True, slots=True)
class GraphDefinition:
    """A valid graph. ``order`` holds the nodes so that every producer precedes its consumers.

    ``pool_size`` is what ``# OVMS_GRAPH_QUEUE_MAX_SIZE`` asks for: a number, ``"AUTO"`` or ``None``.
    """

    source: str
    input_streams: tuple[Port, ...]
    output_streams: tuple[Port, ...]
    input_side_packets: tuple[Port, ...]
    order: tuple[Node, ...]
    max_queue_size: int
    pool_size: int | str | None


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    data = (files("graph_server.graph") / "mediapipe_graph.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
    # Extensions are registered with the class that they extend when their messages are made.
    message_factory.GetMessageClassesForFiles(["mediapipe_graph.proto"], pool)
    return pool


def parse_graph(text: str, *, source: str, registry: Registry) -> GraphDefinition:
    """Parse and validate; raises :class:`ConfigError` with the source, node and line."""
    pool = _pool()
    config = message_factory.GetMessageClass(pool.FindMessageTypeByName("mediapipe.CalculatorGraphConfig"))()
    try:
        text_format.Parse(text, config, descriptor_pool=pool)
    except text_format.ParseError as error:
        raise ConfigError(f"{source}: {error}") from error
    try:
        return _definition(config, text, source, registry)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error


def _definition(config: Any, text: str, source: str, registry: Registry) -> GraphDefinition:
    lines = list(_node_lines(text))
    nodes = [_node(item, line, position) for position, (item, line) in enumerate(zip(config.node, lines, strict=True))]
    inputs = tuple(Port.parse(stream) for stream in config.input_stream)
    outputs = tuple(Port.parse(stream) for stream in config.output_stream)
    side = tuple(Port.parse(packet) for packet in config.input_side_packet)
    if not inputs or not outputs:
        raise ConfigError("a graph needs at least one input_stream and one output_stream")
    for port in (*inputs, *outputs):
        if port.tag.startswith("TFLITE_TENSOR"):
            raise ConfigError(f"stream {port.name!r}: TFLITE_TENSOR cannot enter or leave a graph")
    for node in nodes:
        contract = registry.find(node)
        contract.inputs.check(node, "input stream", [port.tag for port in node.inputs])
        contract.outputs.check(node, "output stream", [port.tag for port in node.outputs])
    _check_streams(nodes, inputs, outputs)
    directive = _QUEUE_DIRECTIVE.search(text)
    pool_size: int | str | None = None
    if directive is not None:
        pool_size = "AUTO" if directive[1] == "AUTO" else int(directive[1]) or None
    return GraphDefinition(
        source=source,
        input_streams=inputs,
        output_streams=outputs,
        input_side_packets=side,
        order=tuple(_ordered(nodes, inputs, side)),
        max_queue_size=config.max_queue_size or DEFAULT_QUEUE_SIZE,
        pool_size=pool_size,
    )


def _node(item: Any, line: int, position: int) -> Node:
    options = {}
    for extension, message in item.options.ListFields():
        if extension.is_extension:
            options[extension.message_type.name] = message
    for packed in item.node_options:
        descriptor = _pool().FindMessageTypeByName(packed.TypeName())
        message = message_factory.GetMessageClass(descriptor)()
        packed.Unpack(message)
        options[descriptor.name] = message
    return Node(
        name=item.name or item.calculator,
        calculator=item.calculator,
        line=line,
        inputs=tuple(Port.parse(stream) for stream in item.input_stream),
        outputs=tuple(Port.parse(stream) for stream in item.output_stream),
        input_side_packets=tuple(Port.parse(packet) for packet in item.input_side_packet),
        output_side_packets=tuple(Port.parse(packet) for packet in item.output_side_packet),
        back_edges=frozenset(info.tag_index.split(":")[0] for info in item.input_stream_info if info.back_edge),
        options=options,
    )


def _node_lines(text: str) -> Iterator[int]:
    """The line on which each node starts; protobuf's parser does not tell."""
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        code = re.sub(r'"(?:\\.|[^"\\])*"', '""', line).split("#")[0]
        for match in re.finditer(r"\bnode\s*:?\s*(?=[{<])|\bnode\s*:?\s*$|[{}<>]", code):
            if match[0] in "{<":
                depth += 1
            elif match[0] in "}>":
                depth -= 1
            elif depth == 0:
                yield number


def _check_streams(nodes: Sequence[Node], inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    producers: dict[str, str] = {port.name: "the graph's inputs" for port in inputs}
    for node in nodes:
        for port in node.outputs:
            if port.name in producers:
                raise ConfigError(
                    f"{node.where()}: stream {port.name!r} has a producer already: {producers[port.name]}"
                )
            producers[port.name] = node.where()
    for node in nodes:
        for port in node.inputs:
            if port.name not in producers:
                raise ConfigError(f"{node.where()}: no node produces input stream {port.name!r}")
    for port in outputs:
        if port.name not in producers:
            raise ConfigError(f"no node produces the graph's output stream {port.name!r}")


def _ordered(nodes: Sequence[Node], inputs: Sequence[Port], side: Sequence[Port]) -> list[Node]:
    """Topological order, the ancestors of back edges first: the next frame waits for them."""
    producer = {port.name: node for node in nodes for port in node.outputs}
    side_producer = {port.name: node for node in nodes for port in node.output_side_packets}
    wanted_back = [
        producer[port.name]
        for node in nodes
        for port in node.inputs
        if port.tag in node.back_edges and port.name in producer
    ]
    order: list[Node] = []
    state: dict[int, str] = {}

    def visit(node: Node) -> None:
        if state.get(id(node)) == "done":
            return
        if state.get(id(node)) == "open":
            raise ConfigError(f"{node.where()}: a cycle of streams without a back_edge passes here")
        state[id(node)] = "open"
        for port in node.inputs:
            if port.tag not in node.back_edges and port.name in producer:
                visit(producer[port.name])
        for port in node.input_side_packets:
            if port.name in side_producer:
                visit(side_producer[port.name])
        state[id(node)] = "done"
        order.append(node)

    known = {port.name for port in side}
    for node in nodes:
        for port in node.input_side_packets:
            if port.name not in side_producer and port.name not in known:
                raise ConfigError(f"{node.where()}: no node produces input side packet {port.name!r}")
    for node in (*wanted_back, *nodes):
        visit(node)
    return order
