"""Reads and validates a graph's text."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graph_server.errors import ConfigError, UnsupportedError
from graph_server.graph.calculator import Registry
from graph_server.graph.messages import (
    CalculatorGraphConfig,
    InputStreamHandlerConfig,
    SyncSetInputStreamHandlerOptions,
)
from graph_server.graph.node import Node, Port, find_port
from graph_server.graph.options import options_of
from graph_server.graph.packet_types import StreamTypes, check_types
from graph_server.graph.text import node_at, node_lines, parse_text, unknown_options

_QUEUE_DIRECTIVE = re.compile(r"^\s*#\s*OVMS_GRAPH_QUEUE_MAX_SIZE\s*:\s*(\S+)\s*$", re.MULTILINE)
DEFAULT_QUEUE_SIZE = 100  # MediaPipe's (framework/calculator_graph.cc)
UNBOUNDED = 2**31
PYTHON_NODES = "py"
"""The name of the side packet with the scripts of the graph's Python nodes. The server gives it to every graph."""


@dataclass(frozen=True, slots=True)
class GraphDefinition:
    """A valid graph. In ``order`` every producer comes before its consumers.

    ``num_threads`` is 0 if the graph does not set it. ``pool_size`` is the value of ``# OVMS_GRAPH_QUEUE_MAX_SIZE``:
    a number, ``"AUTO"`` or ``None``. ``needed_side_packets`` are those of ``input_side_packets`` without which it does
    not start.
    """

    source: str
    input_streams: tuple[Port, ...]
    output_streams: tuple[Port, ...]
    input_side_packets: tuple[Port, ...]
    needed_side_packets: tuple[str, ...]
    order: tuple[Node, ...]
    stream_types: StreamTypes
    max_queue_size: int
    report_deadlock: bool
    num_threads: int
    pool_size: int | str | None


def parse_graph(text: str, *, source: str, registry: Registry) -> GraphDefinition:
    """Parse and validate a graph. Raises :class:`ConfigError` with the source, node and line."""
    try:
        return _definition(parse_text(text), text, source, registry)
    except (ConfigError, ValueError) as error:
        raise _placed(source, error) from error


def _definition(config: CalculatorGraphConfig, text: str, source: str, registry: Registry) -> GraphDefinition:
    nodes = list(registry.expanded(_nodes(config, text)))
    inputs = Port.parse_all(config.input_stream, "input_stream")
    outputs = Port.parse_all(config.output_stream, "output_stream")
    side = Port.parse_all(config.input_side_packet, "input_side_packet")
    if not inputs or not outputs:
        raise ConfigError("a graph needs at least one input_stream and one output_stream")
    for port in (*inputs, *outputs):
        if port.tag.startswith("TFLITE_TENSOR"):
            raise ConfigError(f"stream {port.name!r}: TFLITE_TENSOR cannot enter or leave a graph")
    for node in nodes:
        contract = registry.find(node)
        contract.inputs.check(node, "input stream", [port.tag for port in node.inputs])
        contract.outputs.check(node, "output stream", [port.tag for port in node.outputs])
        if node.outputs and not node.inputs:
            raise ConfigError(f"{node.where()}: {node.calculator} has output streams and needs input streams")
        try:
            contract.check(node)
        except ConfigError as error:
            raise ConfigError(f"{node.where()}: {error}") from error
    for name, start, _ in unknown_options(text):
        line = text.count("\n", 0, start) + 1
        raise UnsupportedError(f"{node_at(text, line)}options of type {name!r} are not implemented here")
    _check_passthrough(inputs, outputs)
    _check_streams(nodes, inputs, outputs)
    _check_side_packets(nodes, side)
    if config.max_queue_size < -1:
        raise ConfigError(f"max_queue_size {config.max_queue_size} must be a positive number, or -1 for no limit")
    order = _ordered(nodes)
    types = {node.name: registry.find(node).types(node) for node in order}
    stream_types = check_types(order, types, inputs, outputs)
    return GraphDefinition(
        source=source,
        input_streams=inputs,
        output_streams=outputs,
        input_side_packets=side,
        needed_side_packets=tuple(port.name for port in side if not _optional(port.name, nodes, registry)),
        order=tuple(order),
        stream_types=stream_types,
        max_queue_size=UNBOUNDED if config.max_queue_size == -1 else config.max_queue_size or DEFAULT_QUEUE_SIZE,
        report_deadlock=config.report_deadlock,
        num_threads=max(0, config.num_threads),
        pool_size=_pool_size(text),
    )


def _placed(place: str, error: Exception) -> ConfigError:
    """The same error with ``place`` at the beginning of its text."""
    kind = UnsupportedError if isinstance(error, UnsupportedError) else ConfigError
    return kind(f"{place}: {error}")


def _pool_size(text: str) -> int | str | None:
    """The value of ``# OVMS_GRAPH_QUEUE_MAX_SIZE``. 0 is ``None``, as no directive is. Raises :class:`ConfigError`."""
    directive = _QUEUE_DIRECTIVE.search(text)
    if directive is None or directive[1] == "AUTO":
        return directive and directive[1]
    try:
        size = int(directive[1])
    except ValueError:
        size = -1
    if size < 0:
        raise ConfigError(f"OVMS_GRAPH_QUEUE_MAX_SIZE {directive[1]!r} must be AUTO, 0 (no pool) or a positive number")
    return size or None


def _nodes(config: CalculatorGraphConfig, text: str) -> Iterator[Node]:
    given = [item.name or item.calculator for item in config.node]
    count = Counter(given)
    seen: Counter[str] = Counter()
    for item, line, name in zip(config.node, node_lines(text), given, strict=True):
        # MediaPipe numbers nodes with the same name (framework/tool/name_util.cc).
        seen[name] += 1
        unique = name if count[name] == 1 else f"{name}_{seen[name]}"
        try:
            yield _node(item, line, unique, config.input_stream_handler)
        except (ConfigError, ValueError) as error:
            raise _placed(f'node "{unique}" (line {line})', error) from error


def _node(item: CalculatorGraphConfig.Node, line: int, name: str, graph_handler: InputStreamHandlerConfig) -> Node:
    inputs = Port.parse_all(item.input_stream, "input_stream")
    return Node(
        name=name,
        calculator=item.calculator,
        line=line,
        inputs=inputs,
        outputs=Port.parse_all(item.output_stream, "output_stream"),
        input_side_packets=Port.parse_all(item.input_side_packet, "input_side_packet"),
        output_side_packets=Port.parse_all(item.output_side_packet, "output_side_packet"),
        back_edges=frozenset(find_port(inputs, info.tag_index) for info in item.input_stream_info if info.back_edge),
        sync_sets=_sync_sets(
            item.input_stream_handler if item.HasField("input_stream_handler") else graph_handler, inputs
        ),
        options=options_of(item),
    )


def _sync_sets(handler: InputStreamHandlerConfig, inputs: Sequence[Port]) -> tuple[tuple[int, ...], ...] | None:
    """The groups of inputs that wait for each other under this input stream handler. Raises :class:`ValueError`."""
    match handler.input_stream_handler:
        case "" | "DefaultInputStreamHandler":
            return None
        case "ImmediateInputStreamHandler":
            return tuple((place,) for place in range(len(inputs)))
        case "SyncSetInputStreamHandler":
            given = options_of(handler).of(SyncSetInputStreamHandlerOptions).sync_set
            sets = [tuple(find_port(inputs, text) for text in item.tag_index) for item in given]
            grouped = [place for members in sets for place in members]
            if len(grouped) != len(set(grouped)):
                raise ValueError("an input stream is in more than one sync_set")
            rest = tuple(place for place in range(len(inputs)) if place not in grouped)
            return (*sets, rest) if rest else tuple(sets)
        case name:
            raise UnsupportedError(
                f"input_stream_handler {name!r} is not implemented here; use DefaultInputStreamHandler, "
                "ImmediateInputStreamHandler or SyncSetInputStreamHandler"
            )


def _check_passthrough(inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """A graph that takes a whole request must also give a whole response, and the other way round."""
    takes = any(port.tag.startswith("REQUEST") for port in inputs)
    gives = any(port.tag.startswith("RESPONSE") for port in outputs)
    if takes and not gives:
        raise ConfigError("an input_stream REQUEST needs an output_stream with the tag RESPONSE")
    if gives and not takes:
        raise ConfigError("an output_stream RESPONSE needs an input_stream with the tag REQUEST")


def _check_streams(nodes: Sequence[Node], inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    names = [port.name for port in inputs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"the graph has two input streams with the name {name!r}")
    producers = _producers("stream", dict.fromkeys(names, "the graph's inputs"), nodes, lambda node: node.outputs)
    _check_produced("input stream", producers, nodes, lambda node: node.inputs)
    for port in outputs:
        if port.name not in producers:
            raise ConfigError(f"no node produces the graph's output stream {port.name!r}")
    if len({port.name for port in outputs}) != len(outputs):
        raise ConfigError("the graph has two output streams with the same name")


def _check_side_packets(nodes: Sequence[Node], side: Sequence[Port]) -> None:
    given = dict.fromkeys((PYTHON_NODES, *(port.name for port in side)), "the graph's input side packets")
    producers = _producers("side packet", given, nodes, lambda node: node.output_side_packets)
    _check_produced("input side packet", producers, nodes, lambda node: node.input_side_packets)


def _optional(side_packet: str, nodes: Sequence[Node], registry: Registry) -> bool:
    """Whether all nodes that take a side packet of the graph can do without it."""
    ports = [(node, port) for node in nodes for port in node.input_side_packets if port.name == side_packet]
    return bool(ports) and all(port.tag in registry.find(node).optional_side_packets for node, port in ports)


def _producers(
    what: str, given: Mapping[str, str], nodes: Sequence[Node], made: Callable[[Node], Iterable[Port]]
) -> Mapping[str, str]:
    """The producer of each name. Raises :class:`ConfigError` where a name has two producers."""
    producers = dict(given)
    for node in nodes:
        for port in made(node):
            if port.name in producers:
                raise ConfigError(
                    f"{node.where()}: {what} {port.name!r} already has a producer: {producers[port.name]}"
                )
            producers[port.name] = node.where()
    return producers


def _check_produced(
    what: str, producers: Mapping[str, str], nodes: Sequence[Node], taken: Callable[[Node], Iterable[Port]]
) -> None:
    for node in nodes:
        for port in taken(node):
            if port.name not in producers:
                raise ConfigError(f"{node.where()}: no node produces {what} {port.name!r}")


def _ordered(nodes: Sequence[Node]) -> list[Node]:
    """Topological order. The ancestors of back edges come first, because the next frame waits for them."""
    producer = {port.name: node for node in nodes for port in node.outputs}
    side_producer = {port.name: node for node in nodes for port in node.output_side_packets}

    def before(node: Node) -> Iterator[Node]:
        for place, port in enumerate(node.inputs):
            if place not in node.back_edges and port.name in producer:
                yield producer[port.name]
        for port in node.input_side_packets:
            if port.name in side_producer:
                yield side_producer[port.name]

    fed_back = [
        producer[node.inputs[place].name]
        for node in nodes
        for place in sorted(node.back_edges)
        if node.inputs[place].name in producer
    ]
    order: list[Node] = []
    done: set[int] = set()
    for start in (*fed_back, *nodes):
        # Depth first with our own stack, because Python's stack is too small for long chains.
        stack = [] if id(start) in done else [(start, before(start))]
        entered = {id(start)}
        while stack:
            node, ancestors = stack[-1]
            ancestor = next((other for other in ancestors if id(other) not in done), None)
            if ancestor is None:
                stack.pop()
                done.add(id(node))
                entered.discard(id(node))
                order.append(node)
            elif id(ancestor) in entered:
                raise ConfigError(f"{ancestor.where()}: this node is in a cycle of streams without a back_edge")
            else:
                entered.add(id(ancestor))
                stack.append((ancestor, before(ancestor)))
    return order
