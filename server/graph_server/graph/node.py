"""Nodes of a graph's text and their ports."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graph_server.graph.options import Options

# framework/tool/validate_name.cc
_PORT = re.compile(r"(?:(?P<tag>[A-Z_][A-Z0-9_]*)(?::(?P<index>0|[1-9][0-9]*))?:)?(?P<name>[a-z_][a-z0-9_]*)")
_TAG_INDEX = re.compile(r"(?P<tag>[A-Z_][A-Z0-9_]*)?(?::(?P<index>0|[1-9][0-9]*))?")


@dataclass(frozen=True, slots=True)
class Port:
    """A stream or side packet of a node or graph: ``TAG:index:name``. Tag and index are optional."""

    tag: str
    index: int
    name: str

    @property
    def key(self) -> str:
        """``TAG`` for index 0, ``TAG:index`` for the others."""
        return f"{self.tag}:{self.index}" if self.index else self.tag

    @classmethod
    def parse(cls, text: str) -> "Port":
        """Read ``name``, ``TAG:name`` or ``TAG:index:name``. Raises :class:`ValueError`."""
        found = _PORT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is not NAME, TAG:NAME or TAG:INDEX:NAME, with capital letters in the tag and small letters "
                "in the name"
            )
        return cls(found["tag"] or "", int(found["index"] or 0), found["name"])

    @classmethod
    def parse_all(cls, texts: Iterable[str], what: str) -> tuple["Port", ...]:
        """The ports of one kind. Ports without a tag get indices. Raises :class:`ValueError` for a repeated index."""
        ports: list[Port] = []
        for text in texts:
            port = cls.parse(text)
            if not port.tag:
                port = replace(port, index=sum(1 for other in ports if not other.tag))
            if any((other.tag, other.index) == (port.tag, port.index) for other in ports):
                raise ValueError(f"{what} {port.tag} with index {port.index} is used twice, again in {text!r}")
            ports.append(port)
        for port in ports:
            if port.index and not any((other.tag, other.index) == (port.tag, port.index - 1) for other in ports):
                raise ValueError(f"{what} {port.tag}:{port.index} without {port.tag}:{port.index - 1}")
        return tuple(ports)


def find_port(ports: Iterable[Port], tag_index: str) -> int:
    """The position of ``TAG``, ``TAG:index`` or ``:index``. Raises :class:`ValueError`."""
    found = _TAG_INDEX.fullmatch(tag_index)
    if found is not None:
        wanted = (found["tag"] or "", int(found["index"] or 0))
        for place, port in enumerate(ports):
            if (port.tag, port.index) == wanted:
                return place
    raise ValueError(f"no input stream has the tag_index {tag_index!r}")


def _without_tag(ports: tuple[Port, ...]) -> tuple[int, ...]:
    return tuple(place for place, port in enumerate(ports) if not port.tag)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph.

    ``back_edges`` holds positions of inputs. ``sync_sets`` groups positions of inputs that wait for each other.
    It is ``None`` if all inputs wait for each other.
    """

    name: str
    calculator: str
    line: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    input_side_packets: tuple[Port, ...] = ()
    output_side_packets: tuple[Port, ...] = ()
    back_edges: frozenset[int] = frozenset()
    sync_sets: tuple[tuple[int, ...], ...] | None = None
    options: Options = field(default_factory=Options)

    def where(self) -> str:
        """The node's name for messages: ``node "GateCalculator" (line 12)``."""
        return f'node "{self.name}" (line {self.line})'

    @property
    def data_inputs(self) -> tuple[int, ...]:
        """The positions of the inputs without a tag."""
        return _without_tag(self.inputs)

    @property
    def data_outputs(self) -> tuple[int, ...]:
        """The positions of the outputs without a tag."""
        return _without_tag(self.outputs)

    def input_index(self, tag: str) -> int | None:
        """The position of the first input with this tag, or ``None``."""
        return next((index for index, port in enumerate(self.inputs) if port.tag == tag), None)

    def output_index(self, tag: str) -> int | None:
        """The position of the first output with this tag, or ``None``."""
        return next((index for index, port in enumerate(self.outputs) if port.tag == tag), None)
