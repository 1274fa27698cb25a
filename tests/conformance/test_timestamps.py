"""``OVMS_MP_TIMESTAMP``: its type, its range, its order, its default."""

import time
from typing import Any

import pytest

from kserve_wire.messages import ModelInferRequest
from tests.conformance.wire import INVALID_ARGUMENT, OK, TIMESTAMP, UNKNOWN, Wire, echo, parameter, stamp

pytestmark = pytest.mark.graphs("passThrough")
WRONG_TYPE = (
    "Malformed packet timestamp - Invalid timestamp format in request parameter OVMS_MP_TIMESTAMP. Should be int64"
)
OUT_OF_RANGE = {
    -(2**63): "Unset",
    -(2**63) + 1: "Unstarted",
    -(2**63) + 2: "PreStream",
    2**63 - 3: "PostStream",
    2**63 - 2: "OneOverPostStream",
    2**63 - 1: "Done",
}


def test_without_a_timestamp_the_server_takes_the_wall_clock_in_microseconds(wire: Wire) -> None:
    conversation = wire.converse()
    stamps = []
    for _ in range(2):
        conversation.send(echo())
        stamps.append(stamp(conversation.receive()))
    conversation.close()
    assert stamps[0] < stamps[1]
    # An hour's difference is a clock that is set wrongly; another unit would be off by years.
    assert abs(stamps[0] - time.time_ns() // 1000) < 3_600_000_000


@pytest.mark.parametrize("first", [-(2**63) + 3, -5, 0])
def test_any_value_of_mediapipes_range_may_come_first(wire: Wire, first: int) -> None:
    ended = wire.stream(echo(first), echo(2**63 - 4))
    assert ([stamp(answer) for answer in ended.answers], ended.code) == ([first, 2**63 - 4], OK)


@pytest.mark.parametrize("value", ["now", True, None])
def test_a_timestamp_of_another_type_is_refused_inside_the_stream(wire: Wire, value: Any) -> None:
    def wrong() -> ModelInferRequest:
        return parameter(echo(), TIMESTAMP, value)

    ended = wire.stream(wrong(), wrong(), echo(1))
    assert ended.errors == [
        f"{WRONG_TYPE}; partial deserialization of first request",
        f"{WRONG_TYPE}; partial deserialization of subsequent requests",
    ]
    assert (len(ended.answers), ended.code) == (1, OK)


@pytest.mark.parametrize(("value", "name"), OUT_OF_RANGE.items())
def test_mediapipes_special_timestamps_are_refused_by_name(wire: Wire, value: int, name: str) -> None:
    ended = wire.stream(echo(value), echo(1))
    assert ended.errors == [
        f"Malformed packet timestamp - Timestamp::{name}(); partial deserialization of first request"
    ]
    assert (len(ended.answers), ended.code) == (1, OK)


@pytest.mark.parametrize("value", ["now", 2**63 - 1])
def test_a_bad_timestamp_of_a_unary_call_is_an_unknown_error(wire: Wire, value: Any) -> None:
    assert wire.refusal(echo(value)) == (UNKNOWN, "Unknown error")


@pytest.mark.parametrize("second", [5, 4, -100])
def test_a_timestamp_that_does_not_rise_ends_the_call_without_a_message_of_its_own(wire: Wire, second: int) -> None:
    conversation = wire.converse()
    conversation.send(echo(5))
    assert stamp(conversation.receive()) == 5
    conversation.send(echo(second))
    ended = conversation.rest()  # at once: the client has not closed its side
    assert (ended.messages, ended.code) == ([], INVALID_ARGUMENT)
    assert ended.details.startswith(
        "Mediapipe execution failed. MP status - INVALID_ARGUMENT: CalculatorGraph::Run() failed: \n"
        '; Packet timestamp mismatch on a calculator receiving from stream "image". '
        f"Current minimum expected timestamp is 6 but received {second}. "
    )


def test_small_timestamps_after_the_wall_clock_do_not_rise(wire: Wire) -> None:
    assert wire.stream(echo(), echo(1)).code is INVALID_ARGUMENT


def test_timestamps_may_have_gaps(wire: Wire) -> None:
    assert [stamp(answer) for answer in wire.stream(echo(1), echo(1000), echo(10**15)).answers] == [1, 1000, 10**15]
