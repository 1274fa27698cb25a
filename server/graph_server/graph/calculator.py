"""What a calculator is, and the registry that finds one by its name in a graph."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, ClassVar

from graph_server.errors import ConfigError, UnsupportedError
from graph_server.graph.node import Node, Port
from graph_server.graph.packet_types import ANY, NodeTypes, PacketType
from graph_server.models.repository import Models

NOTHING: tuple[Any, ...] = ()
"""What :meth:`Calculator.process` returns when no output has a packet."""


@dataclass(frozen=True, slots=True)
class Ports:
    """A contract: the tags that a calculator must and may have, with their types. ``...`` admits any other tag."""

    required: Mapping[str, PacketType] = field(default_factory=dict)
    optional: Mapping[str | EllipsisType, PacketType] = field(default_factory=dict)

    def check(self, node: Node, what: str, tags: Sequence[str]) -> None:
        """Raise :class:`ConfigError`, naming the node and line, where ``tags`` break the contract."""
        for tag in self.required:
            if tag not in tags:
                raise ConfigError(f"{node.where()}: {node.calculator} needs {what} {tag or '(without tag)'}")
        for tag in tags:
            if tag not in self.required and tag not in self.optional and ... not in self.optional:
                raise ConfigError(f"{node.where()}: {node.calculator} has no {what} {tag or '(without tag)'}")

    def type_of(self, tag: str) -> PacketType:
        """What a port with that tag takes or gives."""
        return self.required.get(tag, self.optional.get(tag, self.optional.get(..., ANY)))


@dataclass(frozen=True, slots=True)
class Services:
    """What calculators may use: the configured models, and which of their outputs have consumers."""

    models: Models
    consumers: Mapping[str, Sequence[tuple[Node, Port]]] = field(default_factory=dict)


class Calculator:
    """A node at work: one instance a graph, called for one timestamp at a time, in order.

    :meth:`process` gets the values of its inputs in the order of the node's text, ``None`` where a stream
    has no packet at this timestamp, and returns the values of its outputs likewise (or :data:`NOTHING`).
    It is called when at least one input has a packet, or, with ``every_timestamp``, whenever one is settled.
    It must not change inputs. An exception, of any kind, breaks the graph.

    ``brief`` calculators take microseconds: no other thread is woken to work beside them. The oldest timestamp goes
    first; but what need not wait for a calculator with ``slack`` goes that many timestamps ahead of it.
    """

    inputs: ClassVar[Ports] = Ports(optional={...: ANY})
    outputs: ClassVar[Ports] = Ports(optional={...: ANY})
    every_timestamp: ClassVar[bool] = False
    brief: ClassVar[bool] = False
    slack: ClassVar[int] = 0

    @classmethod
    def check(cls, node: Node) -> None:
        """Raise :class:`ConfigError` where a node's ports or options cannot work; called when a graph is read."""

    @classmethod
    def types(cls, node: Node) -> NodeTypes:
        """The types of the node's ports: those of the contract, where they do not depend on the node."""
        return NodeTypes(
            [cls.inputs.type_of(port.tag) for port in node.inputs],
            [cls.outputs.type_of(port.tag) for port in node.outputs],
        )

    def __init__(self, node: Node, services: Services) -> None:
        self.node = node
        self.services = services

    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        """Prepare for a run, with the input side packets by :attr:`Port.key`; returns the output ones likewise."""
        return {}

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Handle one timestamp, in microseconds."""
        raise NotImplementedError

    def close(self) -> None:
        """End a run."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What one output gets: pairs of a timestamp and a value, then the lowest timestamp that may follow."""

    packets: Sequence[tuple[int, Any]]
    bound: int


class TimedCalculator(Calculator):
    """A calculator that answers at timestamps of its own choice.

    Its inputs do not wait for one another (MediaPipe's ``ImmediateInputStreamHandler``), or, with ``waits_as_told``,
    as the node's text says.
    """

    waits_as_told: ClassVar[bool] = False

    def process_timed(self, inputs: Sequence[tuple[int, Any]], timestamp: int) -> Sequence[Emission]:
        """Handle what is new: each input as a timestamp and its value, ``None`` where it is only settled so far.

        Returns one emission for each output; their timestamps rise from call to call.
        """
        raise NotImplementedError


class Subgraph:
    """A node that stands for others."""

    inputs: ClassVar[Ports] = Ports(optional={...: ANY})
    outputs: ClassVar[Ports] = Ports(optional={...: ANY})

    @classmethod
    def nodes(cls, node: Node) -> Sequence[Node]:
        """What takes the place of ``node``; streams of their own have names that begin with its name."""
        raise NotImplementedError


class Registry:
    """Calculators and subgraphs by the name that graphs use."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Calculator]] = {}
        self._subgraphs: dict[str, type[Subgraph]] = {}

    def register(self, *names: str) -> Callable[[type[Calculator]], type[Calculator]]:
        """Decorator: make a class known under ``names``."""

        def add(cls: type[Calculator]) -> type[Calculator]:
            for name in names:
                self._classes[name] = cls
            return cls

        return add

    def update(self, other: "Registry") -> None:
        """Know what another registry knows."""
        self._classes.update(other._classes)
        self._subgraphs.update(other._subgraphs)

    def subgraph(self, name: str) -> Callable[[type[Subgraph]], type[Subgraph]]:
        """Decorator: make a subgraph known under ``name``."""

        def add(cls: type[Subgraph]) -> type[Subgraph]:
            self._subgraphs[name] = cls
            return cls

        return add

    def expanded(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """``nodes`` with subgraphs replaced by what they stand for; raises :class:`ConfigError`."""
        for node in nodes:
            subgraph = self._subgraphs.get(node.calculator)
            if subgraph is None:
                yield node
                continue
            subgraph.inputs.check(node, "input stream", [port.tag for port in node.inputs])
            subgraph.outputs.check(node, "output stream", [port.tag for port in node.outputs])
            yield from self.expanded(subgraph.nodes(node))

    def find(self, node: Node) -> type[Calculator]:
        """The class for ``node``; raises :class:`UnsupportedError` that names what is close."""
        found = self._classes.get(node.calculator)
        if found is None:
            import difflib

            close = difflib.get_close_matches(f"{node.calculator}Calculator", self._classes, n=1, cutoff=0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UnsupportedError(f"{node.where()}: calculator {node.calculator!r} is not implemented here{hint}")
        return found
