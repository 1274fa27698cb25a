"""Which trace a request belongs to, and spans as values.

A request names its trace in the parameter :data:`PARAMETER`, in the form of
https://www.w3.org/TR/trace-context/#traceparent-header.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PARAMETER = "traceparent"
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The trace, of 128 bits, and the span of 64 bits in it that others belong under. It is sampled."""

    trace: int
    span: int

    def __str__(self) -> str:
        return f"00-{self.trace:032x}-{self.span:016x}-{_SAMPLED:02x}"


def parse_trace_parent(text: str) -> TraceParent | None:
    """The trace of a parameter's text; ``None`` where it names none, or one that is not sampled."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or not int(found[3], 16) & _SAMPLED:
        return None
    parent = TraceParent(int(found[1], 16), int(found[2], 16))
    return parent if parent.trace and parent.span else None


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a trace. ``began`` and ``ended`` are seconds of :func:`time.monotonic`.

    ``parent`` is the span that it belongs under, 0 for the first one of the trace. ``kind``: whether it calls a
    server, serves a call, or neither.
    """

    name: str
    trace: int
    id: int
    parent: int
    began: float
    ended: float
    kind: Literal["internal", "client", "server"] = "internal"
    attributes: Mapping[str, str | int] = field(default_factory=dict)
