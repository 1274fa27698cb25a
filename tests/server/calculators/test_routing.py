"""Calculators that pass packets on, block them or merge them."""

from typing import Any

import pytest

from graph_server.errors import ConfigError
from tests.support.graphs import new_graph, run_graph


def test_presence_is_false_for_a_settled_timestamp_without_a_packet() -> None:
    text = """
      input_stream: "a" output_stream: "p"
      node { calculator: "Odd" input_stream: "a" output_stream: "odd" }
      node { calculator: "PacketPresenceCalculator" input_stream: "PACKET:odd" output_stream: "PRESENCE:p" }
    """
    graph = new_graph(text)
    out: list[Any] = []
    graph.start({}, lambda name, value, timestamp: out.append((timestamp, value)))
    for timestamp in range(4):
        graph.add_packet("a", timestamp, timestamp)
        graph.wait_until_idle()  # timestamps that settle together are one call
    graph.close_inputs()
    graph.wait_until_done()
    assert out == [(0, False), (1, True), (2, False), (3, True)]


GATE = """
  input_stream: "a" input_stream: "control" output_stream: "b" output_stream: "change"
  node { calculator: "GateCalculator" input_stream: "a" input_stream: "%s:control" output_stream: "b"
         output_stream: "STATE_CHANGE:change" options { [mediapipe.GateCalculatorOptions.ext] { %s } } }
"""


@pytest.mark.parametrize(
    ("tag", "options", "passed", "changes"),
    [
        ("ALLOW", "", [2], [(2, True), (3, False)]),
        ("ALLOW", "empty_packets_as_allow: true", [1, 2, 4], [(3, False), (4, True)]),
        ("DISALLOW", "", [3], [(3, True), (4, False)]),
        ("DISALLOW", "empty_packets_as_allow: true", [1, 3, 4], [(2, False), (3, True)]),
        ("ALLOW", "initial_gate_state: GATE_ALLOW", [2], [(1, False), (2, True), (3, False)]),
    ],
)
def test_a_stream_controls_a_gate_and_the_gate_reports_its_changes(
    tag: str, options: str, passed: list[int], changes: list[Any]
) -> None:
    packets = [("a", t, t) for t in (1, 2, 3, 4)] + [("control", 2, True), ("control", 3, False)]
    out = run_graph(GATE % (tag, options), packets)
    assert [timestamp for timestamp, _ in out["b"]] == passed
    assert out["change"] == changes


@pytest.mark.parametrize(("tag", "value", "passed"), [("ALLOW", True, 2), ("ALLOW", False, 0), ("DISALLOW", False, 2)])
def test_a_side_packet_controls_a_gate(tag: str, value: bool, passed: int) -> None:
    text = f"""
      input_side_packet: "control" input_stream: "a" output_stream: "b"
      node {{ calculator: "GateCalculator" input_stream: "a" input_side_packet: "{tag}:control" output_stream: "b" }}
    """
    out = run_graph(text, [("a", t, t) for t in (1, 2)], side_packets={"control": value})
    assert len(out.get("b", [])) == passed


def test_each_constant_is_a_side_packet() -> None:
    text = """
      input_stream: "a" output_stream: "b" output_stream: "c" output_stream: "flag"
      node { calculator: "ConstantSidePacketCalculator"
             output_side_packet: "PACKET:0:open" output_side_packet: "PACKET:1:shut"
             output_side_packet: "PACKET:2:least"
             node_options { [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions] {
               packet { bool_value: true } packet { bool_value: false } packet { double_value: 1.5 } } } }
      node { calculator: "GateCalculator" input_stream: "a" input_side_packet: "ALLOW:open" output_stream: "b" }
      node { calculator: "GateCalculator" input_stream: "a" input_side_packet: "ALLOW:shut" output_stream: "c" }
      node { calculator: "ThresholdingCalculator" input_stream: "FLOAT:a" input_side_packet: "THRESHOLD:least"
             output_stream: "FLAG:flag" }
    """
    out = run_graph(text, [("a", t, t) for t in (1, 2)])
    assert out == {"b": [(1, 1), (2, 2)], "flag": [(1, False), (2, True)]}


@pytest.mark.parametrize(
    ("packets", "text"),
    [
        ("", "Number of output side packets has to be same as number of packets configured"),
        ("packet { }", "None of supported values were specified in options"),
    ],
)
def test_constants_without_a_value_are_refused_at_load(packets: str, text: str) -> None:
    graph = f"""
      input_stream: "a" output_stream: "b"
      node {{ calculator: "ConstantSidePacketCalculator" output_side_packet: "PACKET:x"
              options {{ [mediapipe.ConstantSidePacketCalculatorOptions.ext] {{ {packets} }} }} }}
      node {{ calculator: "GateCalculator" input_stream: "a" input_side_packet: "ALLOW:x" output_stream: "b" }}
    """
    with pytest.raises(ConfigError, match=text):
        new_graph(graph)


def test_a_threshold_has_three_kinds_of_output() -> None:
    text = """
      input_stream: "a" output_stream: "flag" output_stream: "yes" output_stream: "no"
      node { calculator: "ThresholdingCalculator" input_stream: "FLOAT:a" output_stream: "FLAG:flag"
             output_stream: "ACCEPT:yes" output_stream: "REJECT:no"
             options { [mediapipe.ThresholdingCalculatorOptions.ext] { threshold: 0.5 } } }
    """
    out = run_graph(text, [("a", 1, 0.4), ("a", 2, 0.6)])
    assert out == {"flag": [(1, False), (2, True)], "yes": [(2, True)], "no": [(1, False)]}
