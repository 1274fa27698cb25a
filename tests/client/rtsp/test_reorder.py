"""Packets of UDP, put in order with numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.reorder import ReorderBuffer


def name(sequence: int) -> bytes:
    return b"%d" % (sequence & 0xFFFF)


@given(st.integers(0, 0xFFFF), st.data())
def test_packets_that_change_places_come_out_in_order_and_once(first: int, data: st.DataObject) -> None:
    buffer, sent = ReorderBuffer(0.05), [first + number for number in range(30)]
    # Each packet is up to ten places late, but for the first one, which says where the stream begins.
    late = data.draw(st.lists(st.integers(0, 10), min_size=30, max_size=30))
    order = sorted(range(1, 30), key=lambda number: (number + late[number], number))
    twice = data.draw(st.booleans())
    came = []
    for number in (0, *order):
        for _ in range(1 + twice):
            came += buffer.push(sent[number] & 0xFFFF, name(sent[number]), 0.0)
    assert came == [name(sequence) for sequence in sent]


@given(st.integers(0, 0xFFFF), st.sets(st.integers(1, 40), max_size=20))
def test_what_is_lost_is_waited_for_a_bounded_time(first: int, lost: set[int]) -> None:
    buffer, came = ReorderBuffer(0.05), []
    for number in range(42):
        now = 0.01 * number
        came += buffer.expired(now)
        if number not in lost:
            sequence = first + number
            came += buffer.push(sequence & 0xFFFF, name(sequence), now)
        assert buffer.deadline() > now
    came += buffer.expired(1.0)
    assert came == [name(first + number) for number in range(42) if number not in lost]
    assert buffer.deadline() == float("inf")


def test_a_packet_that_comes_too_late_is_left_out() -> None:
    buffer = ReorderBuffer(0.05)
    assert buffer.push(1, b"1", 0.0) == [b"1"]
    assert buffer.push(3, b"3", 0.0) == []
    assert buffer.expired(0.05) == [b"3"]
    assert buffer.push(2, b"2", 0.06) == []
    assert buffer.push(4, b"4", 0.06) == [b"4"]


@pytest.mark.parametrize("jump", [ReorderBuffer.MOST + 1, 30_000, -5000])
def test_a_jump_of_the_numbers_is_a_new_beginning(jump: int) -> None:
    buffer = ReorderBuffer(0.05)
    buffer.push(10_000, b"a", 0.0)
    assert buffer.push(10_002, b"c", 0.0) == []
    assert buffer.push(10_001 + jump & 0xFFFF, b"x", 0.0) == [b"c", b"x"]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.floats(0, 0.1)), max_size=200))
def test_memory_is_bounded_whatever_comes(packets: list[tuple[int, float]]) -> None:
    buffer, now, came = ReorderBuffer(0.05), 0.0, 0
    for sequence, seconds in packets:
        now += seconds
        came += len(buffer.push(sequence, b"x", now)) + len(buffer.expired(now))
        assert len(buffer._waiting) <= ReorderBuffer.MOST
    assert came <= len(packets)
