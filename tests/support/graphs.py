"""Small graphs for tests: a registry of simple calculators, and a run from packets to packets."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from graph_server.calculators import REGISTRY
from graph_server.errors import GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Registry
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.models.repository import ModelRepository, Models
from graph_server.models.runtime import Runtime

NO_MODELS = ModelRepository(Runtime(), ())

Packets = Sequence[tuple[str, int, Any]]
"""Stream, timestamp, value, in the order in which they are added."""


def simple_registry() -> Registry:
    """The server's calculators, and Add, Odd, Slow, Late, FailAt3."""
    registry = Registry()
    registry.update(REGISTRY)

    @registry.register("Add")
    class Add(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            return (sum(value for value in inputs if value is not None),)

    @registry.register("Odd")
    class Odd(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            return (inputs[0],) if inputs[0] % 2 else NOTHING

    @registry.register("Slow")
    class Slow(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            time.sleep(0.002 * (inputs[0] % 3))
            return (inputs[0],)

    @registry.register("FailAt3")
    class FailAt3(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            if inputs[0] == 3:
                raise GraphError("three is too much")
            return (inputs[0],)

    return registry


def new_graph(text: str, registry: Registry | None = None, models: Models = NO_MODELS) -> Graph:
    registry = registry or simple_registry()
    return Graph(parse_graph(text, source="test", registry=registry), registry, models)


def run_graph(
    text: str,
    packets: Packets,
    *,
    registry: Registry | None = None,
    side_packets: Mapping[str, Any] | None = None,
    models: Models = NO_MODELS,
) -> dict[str, list[tuple[int, Any]]]:
    """What came out of each stream: timestamps and values."""
    graph = new_graph(text, registry, models)
    out: dict[str, list[tuple[int, Any]]] = {}
    lock = threading.Lock()

    def take(name: str, value: Any, timestamp: int) -> None:
        with lock:
            out.setdefault(name, []).append((timestamp, value))

    graph.start(side_packets or {}, take)
    try:
        for stream, timestamp, value in packets:
            graph.add_packet(stream, value, timestamp)
        graph.close_inputs()
        graph.wait_until_done()
    finally:
        graph.cancel()
    return out
