"""Nodes and their ports, as the text of a graph describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Port:
    """A stream or side packet at a node or graph: ``TAG:index:name``, tag and index optional."""

    tag: str
    index: int
    name: str

    @classmethod
    def parse(cls, text: str) -> "Port":
        """Read ``name``, ``TAG:name`` or ``TAG:index:name``; raises :class:`ValueError`."""
        parts = text.split(":")
        if len(parts) == 1:
            return cls("", 0, parts[0])
        if len(parts) == 2:
            return cls(parts[0], 0, parts[1])
        if len(parts) == 3 and parts[1].isdigit():
            return cls(parts[0], int(parts[1]), parts[2])
        raise ValueError(f"{text!r} is not NAME, TAG:NAME or TAG:INDEX:NAME")


@dataclass(frozen=True, slots=True)
class Node:
    """A node. ``options`` maps the short names of option messages (``"GateCalculatorOptions"``) to them."""

    name: str
    calculator: str
    line: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    input_side_packets: tuple[Port, ...] = ()
    output_side_packets: tuple[Port, ...] = ()
    back_edges: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def where(self) -> str:
        """For messages: ``node "GateCalculator" (line 12)``."""
        return f'node "{self.name}" (line {self.line})'

    def input_index(self, tag: str) -> int | None:
        """The position of the input with that tag, or ``None``."""
        return next((index for index, port in enumerate(self.inputs) if port.tag == tag), None)

    def output_index(self, tag: str) -> int | None:
        """The position of the output with that tag, or ``None``."""
        return next((index for index, port in enumerate(self.outputs) if port.tag == tag), None)
