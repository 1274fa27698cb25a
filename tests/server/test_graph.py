"""Graphs: what is refused when they are read, and how they run."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT

from graph_server.calculators import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Registry
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.models import ModelRepository, Runtime

NO_MODELS = ModelRepository(Runtime(), ())


def _registry() -> Registry:
    registry = Registry()

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

    @registry.register("Before")
    class Before(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            return (inputs[1],)

    return registry


def _run(text: str, values: dict[str, list[tuple[int, Any]]]) -> dict[str, list[tuple[int, Any]]]:
    registry = _registry()
    graph = Graph(parse_graph(text, source="test", registry=registry), registry, NO_MODELS)
    out: dict[str, list[tuple[int, Any]]] = {}
    graph.start({}, lambda name, value, timestamp: out.setdefault(name, []).append((timestamp, value)))
    try:
        for stream, packets in values.items():
            for timestamp, value in packets:
                graph.add_packet(stream, value, timestamp)
        graph.close_inputs()
        graph.wait_until_done()
    finally:
        graph.cancel()
    return out


def test_packets_come_out_in_order_though_nodes_take_different_times() -> None:
    text = """
      input_stream: "a" output_stream: "c"
      node { calculator: "Slow" input_stream: "a" output_stream: "b" }
      node { calculator: "Slow" input_stream: "b" output_stream: "c" }
    """
    out = _run(text, {"a": [(t, t) for t in range(50)]})
    assert out["c"] == [(t, t) for t in range(50)]


def test_a_node_runs_when_one_of_its_inputs_has_a_packet() -> None:
    text = """
      input_stream: "a" output_stream: "sum"
      node { calculator: "Odd" input_stream: "a" output_stream: "odd" }
      node { calculator: "Add" input_stream: "odd" output_stream: "sum" }
    """
    assert _run(text, {"a": [(t, t) for t in range(6)]})["sum"] == [(1, 1), (3, 3), (5, 5)]


def test_streams_are_joined_by_timestamp_whatever_comes_first() -> None:
    text = """
      input_stream: "a" input_stream: "b" output_stream: "sum"
      node { calculator: "Add" input_stream: "a" input_stream: "b" output_stream: "sum" }
    """
    out = _run(text, {"a": [(1, 10), (3, 30)], "b": [(1, 1), (2, 2), (3, 3)]})
    assert out["sum"] == [(1, 11), (2, 2), (3, 33)]


def test_a_back_edge_brings_the_packet_of_the_timestamp_before() -> None:
    text = """
      input_stream: "a" output_stream: "before" output_stream: "slow"
      node { calculator: "Before" input_stream: "MAIN:a" input_stream: "LOOP:slow"
             input_stream_info: { tag_index: "LOOP" back_edge: true } output_stream: "before" }
      node { calculator: "Slow" input_stream: "a" output_stream: "slow" }
    """
    out = _run(text, {"a": [(t, t) for t in range(1, 30)]})
    assert out["before"] == [(t, t - 1) for t in range(2, 30)]


def test_a_failing_calculator_puts_the_graph_into_error_with_mediapipes_words() -> None:
    text = """
      input_stream: "a" output_stream: "b"
      node { calculator: "FailAt3" input_stream: "a" output_stream: "b" }
    """
    with pytest.raises(GraphError, match=r"CalculatorGraph::Run\(\) failed: \nthree is too much"):
        _run(text, {"a": [(t, t) for t in range(6)]})


@pytest.mark.parametrize("second", [5, 4, -1])
def test_a_timestamp_that_does_not_rise_is_fatal(second: int) -> None:
    text = """
      input_stream: "a" output_stream: "b"
      node { calculator: "Slow" input_stream: "a" output_stream: "b" }
    """
    expected = f'receiving from stream "a". Current minimum expected timestamp is 6 but received {second}'
    with pytest.raises(GraphError, match=expected) as caught:
        _run(text, {"a": [(5, 1), (second, 2)]})
    assert caught.value.code == "INVALID_ARGUMENT"


def test_cancelling_ends_the_workers_and_wakes_who_waits() -> None:
    registry = _registry()
    text = """
      input_stream: "a" output_stream: "b" max_queue_size: 2
      node { calculator: "Slow" input_stream: "a" output_stream: "b" }
    """
    opened = threading.Event()
    graph = Graph(parse_graph(text, source="test", registry=registry), registry, NO_MODELS)
    graph.start({}, lambda name, value, timestamp: opened.wait(10) and None)
    errors: list[GraphError] = []

    def feed() -> None:
        try:
            for timestamp in range(100):
                graph.add_packet("a", 0, timestamp)
        except GraphError as error:
            errors.append(error)

    thread = threading.Thread(target=feed)
    thread.start()
    while graph.pending < 2:
        time.sleep(0.01)
    assert graph.pending <= 2
    opened.set()
    graph.cancel()
    thread.join(5)
    assert [error.code for error in errors] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input_stream: "a"', "at least one input_stream and one output_stream"),
        ('input_stream: "a" output_stream: "b"', "no node produces the graph's output stream 'b'"),
        (
            'input_stream: "a" output_stream: "b"\nnode { calculator: "PassThru" }',
            r'node "PassThru" \(line 2\): calculator .* not implemented here; did you mean PassThroughCalculator',
        ),
        (
            'input_stream: "a" output_stream: "b"\n\nnode {\n calculator: "PassThroughCalculator"\n'
            ' input_stream: "x" output_stream: "b" }',
            r"\(line 3\): no node produces input stream 'x'",
        ),
        (
            'input_stream: "a" output_stream: "a" node { calculator: "PassThroughCalculator" input_stream: "a" '
            'output_stream: "a" }',
            "stream 'a' has a producer already",
        ),
        (
            'input_stream: "a" output_stream: "b" node { calculator: "ImagePropertiesCalculator" '
            'input_stream: "IMAGES:a" output_stream: "SIZE:b" }',
            "has no input stream IMAGES",
        ),
        (
            'input_stream: "a" output_stream: "c" node { calculator: "MergeCalculator" input_stream: "b" '
            'output_stream: "c" } node { calculator: "MergeCalculator" input_stream: "c" output_stream: "b" }',
            "cycle of streams without a back_edge",
        ),
        (
            'input_stream: "OVTENSOR:a" output_stream: "OVTENSOR:b" node { calculator: "OpenVINOInferenceCalculator" '
            'input_side_packet: "SESSION:s" input_stream: "OVTENSOR:a" output_stream: "OVTENSOR:b" }',
            "no node produces input side packet 's'",
        ),
        ('input_stream: "a" output_stream: "b" nod { }', '1:38 : .*no field named "nod"'),
        ('input_stream: "TFLITE_TENSOR:a" output_stream: "a"', "TFLITE_TENSOR cannot enter"),
    ],
)
def test_a_graph_that_cannot_work_is_refused_naming_node_and_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_graph(text, source="bad.pbtxt", registry=REGISTRY)


@pytest.mark.parametrize("path", sorted((ROOT / "graphs").glob("*/graph.pbtxt")), ids=lambda path: path.parent.name)
def test_every_graph_of_the_project_is_valid(path: Path) -> None:
    parse_graph(path.read_text(), source=str(path), registry=REGISTRY)


def test_the_pool_directive_is_read_from_its_comment() -> None:
    text = '# OVMS_GRAPH_QUEUE_MAX_SIZE: {}\ninput_stream: "a" output_stream: "a"'
    sizes = [parse_graph(text.format(size), source="t", registry=REGISTRY).pool_size for size in ("AUTO", 3, 0)]
    assert sizes == ["AUTO", 3, None]
