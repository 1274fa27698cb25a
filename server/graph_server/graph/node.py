"""Nodes and their ports, as the text of a graph describes them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graph_server.graph.options import Options

# framework/tool/validate_name.cc
_PORT = re.compile(r"(?:(?P<tag>[A-Z_][A-Z0-9_]*)(?::(?P<index>0|[1-9][0-9]*))?:)?(?P<name>[a-z_][a-z0-9_]*)")
_TAG_INDEX = re.compile(r"(?P<tag>[A-Z_][A-Z0-9_]*)?(?::(?P<index>0|[1-9][0-9]*))?")


@dataclass(frozen=True, slots=True)
class Port:
    """A stream or side packet at a node or graph: ``TAG:index:name``, tag and index optional."""

    tag: str
    index: int
    name: str

    @property
    def key(self) -> str:
        """``TAG``, or ``TAG:index`` after the first."""
        return f"{self.tag}:{self.index}" if self.index else self.tag

    @classmethod
    def parse(cls, text: str) -> "Port":
        """Read ``name``, ``TAG:name`` or ``TAG:index:name``; raises :class:`ValueError`."""
        found = _PORT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is not NAME, TAG:NAME or TAG:INDEX:NAME with a tag in capitals and a name in small letters"
            )
        return cls(found["tag"] or "", int(found["index"] or 0), found["name"])

    @classmethod
    def parse_all(cls, texts: Iterable[str], what: str) -> tuple["Port", ...]:
        """The ports of one kind; those without a tag are counted. Raises :class:`ValueError` for a tag twice."""
        ports: list[Port] = []
        for text in texts:
            port = cls.parse(text)
            if not port.tag:
                port = replace(port, index=sum(1 for other in ports if not other.tag))
            if any((other.tag, other.index) == (port.tag, port.index) for other in ports):
                raise ValueError(f"{what} {port.tag} with index {port.index} stands twice, the second time as {text!r}")
            ports.append(port)
        for port in ports:
            if port.index and not any((other.tag, other.index) == (port.tag, port.index - 1) for other in ports):
                raise ValueError(f"{what} {port.tag}:{port.index} without {port.tag}:{port.index - 1}")
        return tuple(ports)


def find_port(ports: Iterable[Port], tag_index: str) -> int:
    """The position of ``TAG``, ``TAG:index`` or ``:index``; raises :class:`ValueError`."""
    found = _TAG_INDEX.fullmatch(tag_index)
    if found is not None:
        wanted = (found["tag"] or "", int(found["index"] or 0))
        for place, port in enumerate(ports):
            if (port.tag, port.index) == wanted:
                return place
    raise ValueError(f"{tag_index!r} names no input stream")


@dataclass(frozen=True, slots=True)
class Node:
    """A node.

    ``back_edges`` holds positions of inputs. ``sync_sets`` groups positions of inputs that wait for one another;
    ``None`` where all do.
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
        """For messages: ``node "GateCalculator" (line 12)``."""
        return f'node "{self.name}" (line {self.line})'

    def input_index(self, tag: str) -> int | None:
        """The position of the first input with that tag, or ``None``."""
        return next((index for index, port in enumerate(self.inputs) if port.tag == tag), None)

    def output_index(self, tag: str) -> int | None:
        """The position of the first output with that tag, or ``None``."""
        return next((index for index, port in enumerate(self.outputs) if port.tag == tag), None)
