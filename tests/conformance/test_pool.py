"""A graph whose text asks for a pool of instances; here it has one, for all calls."""

import threading

import numpy as np
import pytest

from kserve_wire.messages import ModelInferRequest
from tests.conformance.wire import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    OK,
    Wire,
    parameter,
    stamp,
    tensor,
)

pytestmark = [
    pytest.mark.graphs("pooled"),
    pytest.mark.assumption("releases of OVMS that do not know OVMS_GRAPH_QUEUE_MAX_SIZE take it for a comment"),
]


def sound(timestamp: int) -> ModelInferRequest:
    return tensor(np.ones(3, np.float32), timestamp, graph="pooled")


@pytest.fixture(autouse=True)
def made_anew(wire: Wire) -> None:
    """A failure has the instance made anew, with no timestamp behind it."""
    assert wire.refusal(tensor(np.ones(3, np.float32), "not a number", graph="pooled"))[0] is not OK


def test_calls_take_turns_with_the_instance(wire: Wire) -> None:
    for timestamp in (1, 2):
        assert stamp(wire.infer(sound(timestamp))) == timestamp
    ended = wire.stream(sound(3), sound(4))
    assert ([stamp(answer) for answer in ended.answers], ended.code) == ([3, 4], OK)
    assert stamp(wire.infer(sound(5))) == 5


def test_timestamps_go_on_across_sessions_and_a_failure_begins_anew(wire: Wire) -> None:
    assert wire.stream(sound(100)).code is OK
    ended = wire.stream(sound(50))
    assert ended.code is INVALID_ARGUMENT
    assert "Current minimum expected timestamp is 101 but received 50" in ended.details
    assert wire.stream(sound(50)).code is OK


def test_side_packets_are_refused(wire: Wire) -> None:
    refused = (
        FAILED_PRECONDITION,
        "Failed to initialize mediapipe graph - Input side packets are not supported for graphs with queue enabled",
    )
    assert wire.refusal(parameter(sound(1), "name", "text")) == refused
    ended = wire.stream(parameter(sound(1), "name", 5))
    assert (ended.code, ended.details, ended.messages) == (*refused, [])


def test_a_call_waits_while_a_session_has_the_instance(wire: Wire) -> None:
    session = wire.converse()
    session.send(sound(1))
    assert stamp(session.receive()) == 1
    order: list[str] = []

    def call() -> None:
        wire.infer(sound(10))
        order.append("call")

    thread = threading.Thread(target=call)
    thread.start()
    session.send(sound(2))
    assert stamp(session.receive()) == 2
    order.append("session")
    assert session.close().code is OK
    thread.join()
    assert order == ["session", "call"]


def test_an_error_inside_the_stream_keeps_the_instance(wire: Wire) -> None:
    wrong = tensor(np.ones(3, np.float32), 2, graph="pooled")
    wrong.inputs[0].name = "foo"
    ended = wire.stream(sound(1), wrong, sound(3))
    assert ended.errors == ["Unexpected input - foo is unexpected; partial deserialization of subsequent requests"]
    assert wire.stream(sound(2)).code is INVALID_ARGUMENT
