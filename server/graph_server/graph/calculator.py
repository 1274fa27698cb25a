"""The base class of calculators, and the registry that finds a calculator by its name in a graph."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, ClassVar

from graph_server.errors import ConfigError, UnsupportedError
from graph_server.graph.node import Node, Port
from graph_server.graph.packet_types import ANY, NodeTypes, PacketType
from graph_server.models.repository import Models

NOTHING: tuple[Any, ...] = ()
"""The return value of :meth:`Calculator.process` when no output has a packet."""


@dataclass(frozen=True, slots=True)
class Ports:
    """A contract: required and optional tags of a calculator, with their types. ``...`` allows any other tag."""

    required: Mapping[str, PacketType] = field(default_factory=dict)
    optional: Mapping[str | EllipsisType, PacketType] = field(default_factory=dict)

    def check(self, node: Node, what: str, tags: Sequence[str]) -> None:
        """Check ``tags`` against the contract. Raises :class:`ConfigError` with the node and its line."""
        for tag in self.required:
            if tag not in tags:
                raise ConfigError(f"{node.where()}: {node.calculator} needs {what} {tag or '(without tag)'}")
        for tag in tags:
            if tag not in self.required and tag not in self.optional and ... not in self.optional:
                raise ConfigError(f"{node.where()}: {node.calculator} has no {what} {tag or '(without tag)'}")

    def type_of(self, tag: str) -> PacketType:
        """The packet type of the port with this tag."""
        return self.required.get(tag, self.optional.get(tag, self.optional.get(..., ANY)))


@dataclass(frozen=True, slots=True)
class Services:
    """What calculators may use: the configured models, and the consumers of each stream by the stream's name."""

    models: Models
    consumers: Mapping[str, Sequence[tuple[Node, Port]]] = field(default_factory=dict)


class Calculator:
    """The code of one node. Each graph has its own instance. Calls come in the order of timestamps, one at a time.

    :meth:`process` gets the values of the inputs, in the order of the node's text. The value is ``None`` where a
    stream has no packet at this timestamp. It returns the values of the outputs in the same way, or :data:`NOTHING`.
    It runs when at least one input has a packet. With ``every_timestamp`` it also runs when a timestamp is settled
    without a packet. It must not change its inputs. Any exception puts the graph into error.

    A ``brief`` calculator takes microseconds, so the runtime wakes no other thread to work beside it. The oldest
    timestamp runs first. But nodes that do not wait for a calculator with ``slack`` run ahead of it, by ``slack``
    timestamps.
    """

    inputs: ClassVar[Ports] = Ports(optional={...: ANY})
    outputs: ClassVar[Ports] = Ports(optional={...: ANY})
    every_timestamp: ClassVar[bool] = False
    brief: ClassVar[bool] = False
    slack: ClassVar[int] = 0
    stateful: ClassVar[bool] = False
    """Whether it keeps something from frame to frame, so that frames of two streams must not mix."""
    optional_side_packets: ClassVar[frozenset[str]] = frozenset()
    """Tags of input side packets that it can do without, as MediaPipe's ``Optional()``."""

    @classmethod
    def check(cls, node: Node) -> None:
        """Check a node's ports and options when a graph is read. Raises :class:`ConfigError`."""

    @classmethod
    def types(cls, node: Node) -> NodeTypes:
        """The types of the node's ports. By default they are the contract's types."""
        return NodeTypes(
            [cls.inputs.type_of(port.tag) for port in node.inputs],
            [cls.outputs.type_of(port.tag) for port in node.outputs],
        )

    def __init__(self, node: Node, services: Services) -> None:
        self.node = node
        self.services = services

    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        """Prepare for a run. Takes the input side packets by :attr:`Port.key` and returns the output side packets."""
        return {}

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Handle one timestamp, in microseconds."""
        raise NotImplementedError

    def close(self) -> None:
        """End a run."""


@dataclass(frozen=True, slots=True)
class Emission:
    """Packets of one output: pairs of timestamp and value. ``bound`` is the lowest timestamp that may follow."""

    packets: Sequence[tuple[int, Any]]
    bound: int


class TimedCalculator(Calculator):
    """A calculator that chooses the timestamps of its outputs itself.

    Its inputs do not wait for each other (MediaPipe's ``ImmediateInputStreamHandler``). With
    ``uses_node_handler`` they wait as the node's input stream handler says.
    """

    uses_node_handler: ClassVar[bool] = False

    def process_timed(self, inputs: Sequence[tuple[int, Any]], timestamp: int) -> Sequence[Emission]:
        """Handle new input. Each input is a timestamp and a value; the value is ``None`` if it is only settled.

        Returns one emission for each output. Timestamps of an output must rise from call to call.
        """
        raise NotImplementedError


class Subgraph:
    """A node that is replaced by several other nodes."""

    inputs: ClassVar[Ports] = Ports(optional={...: ANY})
    outputs: ClassVar[Ports] = Ports(optional={...: ANY})

    @classmethod
    def nodes(cls, node: Node) -> Sequence[Node]:
        """The nodes that replace ``node``. Names of inner streams begin with the name of ``node``."""
        raise NotImplementedError


class Registry:
    """Calculators and subgraphs by their names in graphs."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Calculator]] = {}
        self._subgraphs: dict[str, type[Subgraph]] = {}

    def register(self, *names: str) -> Callable[[type[Calculator]], type[Calculator]]:
        """Decorator: register a class under ``names``."""

        def add(cls: type[Calculator]) -> type[Calculator]:
            for name in names:
                self._classes[name] = cls
            return cls

        return add

    def update(self, other: "Registry") -> None:
        """Add everything that another registry has."""
        self._classes.update(other._classes)
        self._subgraphs.update(other._subgraphs)

    def subgraph(self, name: str) -> Callable[[type[Subgraph]], type[Subgraph]]:
        """Decorator: register a subgraph under ``name``."""

        def add(cls: type[Subgraph]) -> type[Subgraph]:
            self._subgraphs[name] = cls
            return cls

        return add

    def expanded(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """``nodes`` with each subgraph replaced by its nodes. Raises :class:`ConfigError`."""
        for node in nodes:
            subgraph = self._subgraphs.get(node.calculator)
            if subgraph is None:
                yield node
                continue
            subgraph.inputs.check(node, "input stream", [port.tag for port in node.inputs])
            subgraph.outputs.check(node, "output stream", [port.tag for port in node.outputs])
            yield from self.expanded(subgraph.nodes(node))

    def find(self, node: Node) -> type[Calculator]:
        """The class for ``node``. Raises :class:`UnsupportedError` that names a similar calculator, if there is one."""
        found = self._classes.get(node.calculator)
        if found is None:
            import difflib

            close = difflib.get_close_matches(f"{node.calculator}Calculator", self._classes, n=1, cutoff=0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UnsupportedError(f"{node.where()}: calculator {node.calculator!r} is not implemented here{hint}")
        return found
