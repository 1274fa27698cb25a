"""Which connections hold messages back: numbers in, connections out."""

import pytest

from graph_server.service.connections import Endpoint
from graph_server.service.held_messages import STALL_SECONDS, HeldMessages

MB = 1 << 20
ONE, TWO = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)


def test_a_message_of_which_nothing_more_comes_is_overdue_after_a_while() -> None:
    messages = HeldMessages(1000 * MB)
    assert not messages.overdue(0.0, {ONE: 0})
    assert not messages.overdue(1.0, {ONE: 200 * MB})
    assert not messages.overdue(STALL_SECONDS, {ONE: 200 * MB})
    assert messages.overdue(STALL_SECONDS + 2, {ONE: 200 * MB})[ONE] > 150 * MB


def test_what_has_come_before_the_first_look_is_held_like_all_else() -> None:
    messages = HeldMessages(100 * MB)
    assert set(messages.overdue(50_000.0, {ONE: 200 * MB})) == {ONE}


def test_a_slow_upload_that_goes_on_is_never_overdue() -> None:
    messages = HeldMessages(1000 * MB)
    for second in range(200):
        assert not messages.overdue(float(second), {ONE: second * MB // 8})


def test_finished_messages_are_not_held_however_many_came() -> None:
    messages = HeldMessages(10 * MB)
    received = 0
    for second in range(1000):
        received += 6 * MB + 5000
        messages.finish(ONE, 6 * MB)
        assert not messages.overdue(float(second), {ONE: received})


def test_small_messages_do_not_hide_a_large_one_that_is_held_back() -> None:
    messages = HeldMessages(1000 * MB)
    received = 200 * MB
    over = {}
    for tick in range(5 * 40):
        for _ in range(100):
            messages.finish(ONE, 200)
        received += 100 * 300
        over = messages.overdue(tick / 5, {ONE: received})
        if over:
            break
    assert over


def test_the_oldest_goes_when_all_together_hold_too_much() -> None:
    messages = HeldMessages(150 * MB)
    assert not messages.overdue(0.0, {ONE: 100 * MB})
    assert not messages.overdue(1.0, {ONE: 100 * MB, TWO: 10 * MB})
    assert set(messages.overdue(2.0, {ONE: 100 * MB, TWO: 60 * MB})) == {ONE}
    assert not messages.overdue(3.0, {TWO: 60 * MB})


@pytest.mark.parametrize("resumed", [False, True])
def test_a_stream_that_waits_for_its_own_graph_does_not_stall(resumed: bool) -> None:
    messages = HeldMessages(1000 * MB)
    messages.overdue(0.0, {ONE: 0})
    messages.pause(ONE, messages)
    if resumed:
        messages.resume(ONE, messages)
    messages.overdue(1.0, {ONE: 20 * MB})
    assert set(messages.overdue(2 * STALL_SECONDS, {ONE: 20 * MB})) == ({ONE} if resumed else set())


def test_pings_and_refused_calls_of_hours_are_no_message() -> None:
    messages = HeldMessages(10 * MB)
    for second in range(10_000):
        assert not messages.overdue(float(second), {ONE: second * 10_000})
