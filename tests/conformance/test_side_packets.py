"""Parameters of a first request that are not the timestamp: input side packets."""

from typing import Any

import numpy as np
import pytest

from tests.conformance.wire import FAILED_PRECONDITION, OK, UNKNOWN, Wire, echo, parameter, tensor

pytestmark = pytest.mark.graphs("passThrough")
RESERVED = (
    FAILED_PRECONDITION,
    "Failed to initialize mediapipe graph - Incoming input side packet: py is special reserved name and cannot be used",
)


@pytest.mark.parametrize("value", ["text", 5, True])
def test_names_that_the_graph_does_not_know_are_ignored(wire: Wire, value: Any) -> None:
    ended = wire.stream(parameter(echo(1), "unknown", value))
    assert (len(ended.answers), ended.code) == (1, OK)
    assert wire.refusal(parameter(echo(), "unknown", value))[0] is OK


def test_the_name_py_is_reserved(wire: Wire) -> None:
    ended = wire.stream(parameter(echo(1), "py", "x"))
    assert (ended.code, ended.details, ended.messages) == (*RESERVED, [])
    assert wire.refusal(parameter(echo(), "py", "x")) == RESERVED


def test_a_value_that_is_no_text_integer_or_boolean_is_an_unknown_error(wire: Wire) -> None:
    # Triton's double and uint64 parameters arrive as ones without a value.
    ended = wire.stream(parameter(echo(1), "other", None))
    assert (ended.code, ended.details, ended.messages) == (UNKNOWN, "Unknown error", [])
    assert wire.refusal(parameter(echo(), "other", None)) == (UNKNOWN, "Unknown error")


@pytest.mark.graphs("sidePacket")
def test_a_graph_starts_with_the_side_packet_that_it_needs(wire: Wire) -> None:
    made = parameter(tensor(np.ones(2), 1, graph="sidePacket"), "needed", "text")
    assert len(wire.stream(made).answers) == 1
    assert wire.refusal(made)[0] is OK


@pytest.mark.graphs("sidePacket")
def test_a_graph_without_the_side_packet_that_it_needs_does_not_start(wire: Wire) -> None:
    made = tensor(np.ones(2), 1, graph="sidePacket")
    ended = wire.stream(made)
    assert (ended.code, ended.messages) == (FAILED_PRECONDITION, [])
    assert ended.details.startswith("Failed to start mediapipe graph - ")
    assert wire.refusal(made)[0] is FAILED_PRECONDITION
