"""MediaPipe's input policies: when a node runs, and with what."""

import pytest

from graph_server.errors import GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Registry
from tests.support.graphs import run_graph, simple_registry

TWO = """
  input_stream: "a" input_stream: "b" output_stream: "seen"
  node { calculator: "Pair" input_stream: "a" input_stream: "b" output_stream: "seen" HANDLER }
"""
IMMEDIATE = 'input_stream_handler { input_stream_handler: "ImmediateInputStreamHandler" }'


@pytest.fixture
def pairs() -> Registry:
    registry = simple_registry()

    @registry.register("Pair")
    class Pair(Calculator):
        def process(self, inputs, timestamp):  # type: ignore[no-untyped-def]
            return (tuple(inputs),)

    return registry


@pytest.mark.parametrize("handler", ["", 'input_stream_handler { input_stream_handler: "DefaultInputStreamHandler" }'])
def test_by_default_inputs_wait_for_each_other(pairs: Registry, handler: str) -> None:
    packets = [("a", 1, "a1"), ("a", 2, "a2"), ("b", 2, "b2"), ("a", 3, "a3")]
    assert run_graph(TWO.replace("HANDLER", handler), packets, registry=pairs)["seen"] == [
        (1, ("a1", None)),
        (2, ("a2", "b2")),
        (3, ("a3", None)),
    ]


def test_under_the_immediate_handler_inputs_do_not_wait(pairs: Registry) -> None:
    packets = [("a", 1, "a1"), ("b", 2, "b2"), ("a", 3, "a3")]
    for text in (TWO.replace("HANDLER", IMMEDIATE), IMMEDIATE + TWO.replace("HANDLER", "")):
        assert run_graph(text, packets, registry=pairs)["seen"] == [
            (1, ("a1", None)),
            (2, (None, "b2")),
            (3, ("a3", None)),
        ]


def test_the_immediate_handler_takes_packets_in_the_past_but_a_node_may_not_send_them(pairs: Registry) -> None:
    with pytest.raises(GraphError, match="Current minimum expected timestamp is 6 but received 2"):
        run_graph(TWO.replace("HANDLER", IMMEDIATE), [("a", 5, "a5"), ("b", 2, "b2")], registry=pairs)


def test_inputs_wait_only_for_inputs_of_the_same_sync_set() -> None:
    registry = simple_registry()
    seen = []

    @registry.register("Triple")
    class Triple(Calculator):
        def process(self, inputs, timestamp):  # type: ignore[no-untyped-def]
            seen.append((timestamp, *inputs))
            return NOTHING

    text = """
      input_stream: "a" input_stream: "b" input_stream: "c" output_stream: "seen"
      node { calculator: "Triple" input_stream: "X:a" input_stream: "X:1:b" input_stream: "Y:c" output_stream: "seen"
        input_stream_handler { input_stream_handler: "SyncSetInputStreamHandler" options {
          [mediapipe.SyncSetInputStreamHandlerOptions.ext] { sync_set { tag_index: "X:1" tag_index: "X" } } } } }
    """
    run_graph(text, [("a", 5, "a5"), ("c", 1, "c1"), ("c", 2, "c2"), ("b", 5, "b5")], registry=registry)
    assert sorted(seen, key=lambda call: call[0]) == [
        (1, None, None, "c1"),
        (2, None, None, "c2"),
        (5, "a5", "b5", None),
    ]


def test_a_node_that_does_not_run_still_settles_the_timestamp() -> None:
    text = """
      input_stream: "a" output_stream: "sum"
      node { calculator: "Odd" input_stream: "a" output_stream: "odd" }
      node { calculator: "PassThroughCalculator" input_stream: "odd" output_stream: "odd_again" }
      node { calculator: "Add" input_stream: "a" input_stream: "odd_again" output_stream: "sum" }
    """
    assert run_graph(text, [("a", t, t) for t in range(4)])["sum"] == [(0, 0), (1, 2), (2, 2), (3, 6)]


def test_a_back_edge_names_an_untagged_input_by_its_number() -> None:
    text = """
      input_stream: "a" output_stream: "sum"
      node { calculator: "Add" input_stream: "a" input_stream: "again" output_stream: "sum"
             input_stream_info { tag_index: ":1" back_edge: true } }
      node { calculator: "PassThroughCalculator" input_stream: "a" output_stream: "again" }
    """
    assert run_graph(text, [("a", t, t) for t in (1, 2)])["sum"] == [(1, 2), (2, 4)]
