"""The calculators of one instance of a graph: made, opened in order, closed once."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graph_server.errors import ConfigError, GraphError, GraphServerError, MissingModelError
from graph_server.graph.calculator import Calculator, Registry, Services
from graph_server.graph.definition import GraphDefinition
from graph_server.graph.node import Node, Port
from graph_server.models.repository import Models

logger = logging.getLogger(__name__)

Each = Callable[[Callable[[Node], Calculator], Iterable[Node]], Iterable[Calculator]]
"""A function like ``map``, for instance the ``map`` of an executor."""


class GraphCalculators:
    """One calculator for each node of ``definition``, in its order. ``each`` makes them.

    Raises :class:`ConfigError` if one cannot be made.
    """

    def __init__(self, definition: GraphDefinition, registry: Registry, models: Models, each: Each = map) -> None:
        consumers: dict[str, list[tuple[Node, Port]]] = defaultdict(list)
        for node in definition.order:
            for port in node.inputs:
                consumers[port.name].append((node, port))
        services = Services(models, dict(consumers))
        self._needed = definition.needed_side_packets
        self._lock = threading.Lock()
        self._opened: list[Calculator] = []
        self.made = list(each(lambda node: _made(registry, node, services), definition.order))

    def open(self, side_packets: Mapping[str, Any]) -> None:
        """Open all of them. Raises :class:`GraphError` with the code ``FAILED_PRECONDITION``."""
        packets = dict(side_packets)
        for name in self._needed:
            if name not in packets:
                raise GraphError(f"side packet {name!r} is required but was not given", "FAILED_PRECONDITION")
        for calculator in self.made:
            node = calculator.node
            try:
                taken = {port.key: packets[port.name] for port in node.input_side_packets if port.name in packets}
                given = calculator.open(taken)
            except Exception as error:
                text = f"{failure('Open', node, error)} (line {node.line})"
                raise run_failed(text, "FAILED_PRECONDITION") from error
            self._opened.append(calculator)
            for port in node.output_side_packets:
                packets[port.name] = given.get(port.key)

    def close(self) -> list[GraphError]:
        """Close those that are open, once, and forget all. Safe from any thread. Gives what failed."""
        with self._lock:
            opened, self._opened, self.made = self._opened, [], []
        failed = []
        for calculator in opened:
            try:
                calculator.close()
            except Exception as error:  # noqa: BLE001 - becomes the graph's error
                failed.append(run_failed(failure("Close", calculator.node, error)))
        return failed


def failure(what: str, node: Node, error: Exception) -> str:
    """MediaPipe's error text. A failure of an output stream's listener has no node, so its text stays as it is."""
    text = _text(error)
    if not isinstance(error, GraphServerError):
        logger.error("%s: %s", node.where(), text, exc_info=error)
    return f'Calculator::{what}() for node "{node.name}" failed: {text}' if node.calculator else text


def run_failed(text: str, code: str = "INTERNAL") -> GraphError:
    """The error of a run, in MediaPipe's words."""
    return GraphError(f"CalculatorGraph::Run() failed: \n{text}", code)


def _made(registry: Registry, node: Node, services: Services) -> Calculator:
    try:
        return registry.find(node)(node, services)
    except Exception as error:
        kind = MissingModelError if isinstance(error, MissingModelError) else ConfigError
        raise kind(f"{node.where()}: {node.calculator} cannot be made: {_text(error)}") from error


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, GraphServerError) else f"{type(error).__name__}: {error}"
