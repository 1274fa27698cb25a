"""Options of nodes and input stream handlers, by their types."""

import re
from importlib.resources import files

import pytest

from graph_server.errors import ConfigError
from graph_server.graph import messages
from graph_server.graph.messages import FlowLimiterCalculatorOptions, GateCalculatorOptions
from graph_server.graph.options import Options, options_of
from graph_server.graph.text import parse_text

AS_EXTENSION = "options: { [mediapipe.GateCalculatorOptions.ext] { allow: true } }"
AS_ANY = "node_options: { [type.googleapis.com/mediapipe.GateCalculatorOptions] { allow: true } }"


def options(text: str) -> Options:
    return options_of(parse_text(f'node {{ calculator: "GateCalculator" {text} }}').node[0])


@pytest.mark.parametrize("text", [AS_EXTENSION, AS_ANY])
def test_options_are_found_by_their_type_in_either_form(text: str) -> None:
    found = options(text).get(GateCalculatorOptions)
    assert found is not None
    assert found.allow
    assert found.initial_gate_state == GateCalculatorOptions.GATE_UNINITIALIZED
    assert options(text).get(FlowLimiterCalculatorOptions) is None


def test_missing_options_have_the_defaults_of_the_schema() -> None:
    assert options("").of(FlowLimiterCalculatorOptions).max_in_flight == 1


def test_the_error_for_missing_options_names_their_type() -> None:
    assert options(AS_ANY).needed(GateCalculatorOptions).allow
    with pytest.raises(ConfigError, match=r"options of type mediapipe\.GateCalculatorOptions are missing"):
        options("").needed(GateCalculatorOptions)


def test_the_stubs_have_exactly_the_messages_of_the_schema() -> None:
    stubs = (files("graph_server.graph") / "mediapipe_graph_pb2.pyi").read_text()
    named = re.findall(r"^class (\w+)\(_message\.Message\)", stubs, re.MULTILINE)
    assert named
    assert set(named) == set(messages.SCHEMA.top_level(messages.PACKAGE))
    assert all(getattr(messages, name).DESCRIPTOR.name == name for name in named)
