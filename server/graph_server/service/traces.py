"""Traces of a session's requests: where the time of those went whose client wants to know it.

A request names its trace in the parameter ``traceparent``, in any request but the first one: the parameters of that are
side packets.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from graph_server.graph.calculator import Calculator
from graph_server.service.messages import InferRequest
from kserve_wire.tracing import PARAMETER, Span, TraceParent, parse_trace_parent

Export = Callable[[Iterable[Span]], None]
"""Takes spans that have ended; does not wait."""


@dataclass(slots=True)
class _Request:
    """What is known of one traced request. Times are seconds of :func:`time.monotonic`."""

    parent: TraceParent
    timestamp: int
    received: float
    pushed: float | None = None
    nodes: list[tuple[Calculator, float, float]] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    def node(self, calculator: Calculator, began: float, ended: float) -> None:
        """A calculator has run for it."""
        self.nodes.append((calculator, began, ended))


class SessionTraces:
    """The traced requests of one session, until each of ``outputs`` has answered them. Safe from any thread."""

    MOST = 64
    """Beyond that, the oldest one ends as it is: a graph may give no packet for a request."""

    def __init__(self, export: Export, graph: str, outputs: Iterable[str]) -> None:
        self._export = export
        self._graph = graph
        self._outputs = frozenset(outputs)
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Request] = OrderedDict()

    def received(self, request: InferRequest, timestamp: int, at: float) -> None:
        """A request came. It is followed if it names a trace."""
        parameters = request.message.parameters
        if PARAMETER not in parameters:
            return
        parent = parse_trace_parent(parameters[PARAMETER].string_param)
        if parent is None:
            return
        with self._lock:
            self._open[timestamp] = _Request(parent, timestamp, at)
            oldest = self._open.popitem(last=False)[1] if len(self._open) > self.MOST else None
        if oldest is not None:
            self._export(self._spans(oldest))

    def pushed(self, timestamp: int) -> None:
        """All its packets are in the graph."""
        request = self._open.get(timestamp)
        if request is not None:
            request.pushed = time.monotonic()

    def node_listener(self, timestamp: int) -> Callable[[Calculator, float, float], None] | None:
        """What to tell about the calculators that run for a timestamp; ``None``: nobody wants to know."""
        request = self._open.get(timestamp)
        return None if request is None else request.node

    def answered(self, stream: str, timestamp: int) -> None:
        """An output's answer is on its way to the client."""
        request = self._open.get(timestamp)
        if request is None:
            return
        with self._lock:
            request.answered.add(stream)
            if request.answered != self._outputs or self._open.pop(timestamp, None) is None:
                return
        self._export(self._spans(request))

    def close(self) -> None:
        """The session is over."""
        with self._lock:
            left, self._open = list(self._open.values()), OrderedDict()
        for request in left:
            self._export(self._spans(request))

    def _spans(self, request: _Request) -> Iterator[Span]:
        ended = time.monotonic()
        trace, root, graph = request.parent.trace, _new(), _new()
        about: dict[str, str | int] = {"graph": self._graph, "timestamp": request.timestamp}
        began = request.received
        yield Span("serve", trace, root, request.parent.span, began, ended, "server", about)
        nodes = list(request.nodes)
        first = min((node[1] for node in nodes), default=ended)
        pushed = first if request.pushed is None else min(request.pushed, first)
        yield Span("receive", trace, _new(), root, began, pushed)
        yield Span("queue", trace, _new(), root, pushed, first)
        yield Span("graph", trace, graph, root, first, ended)
        for calculator, start, end in nodes:
            if not calculator.brief:
                yield Span(calculator.node.name, trace, _new(), graph, start, end)


def _new() -> int:
    return secrets.randbits(64) or 1
