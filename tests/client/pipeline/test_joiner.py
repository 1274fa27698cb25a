"""Answers joined to frames and put back in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import BadInputError
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.pipeline.joiner import Joiner
from stream_client.transport.base import Answer, Request

IMAGE = Tensor("output", "UINT8", np.zeros((1, 1, 3), np.uint8))
PICTURE = Tensor("output", "UINT8", np.zeros((8, 8, 3), np.uint8))
SCORES = Tensor("label_scores", "FP32", np.zeros((1, 2), np.float32))


def _joiner(*expected: str, image_output: str | None = "output", join_timeout: float | None = 0.2) -> Joiner:
    return Joiner(
        expected=frozenset(expected or ("output",)),
        image_output=image_output,
        request_timeout=10.0,
        join_timeout=join_timeout,
        resend_timeout=60.0,
    )


def _send(joiner: Joiner, timestamp: int, now: float = 0.0) -> None:
    frame = Frame(timestamp, timestamp, np.zeros((1, 1, 3), np.uint8), now)
    joiner.sent(frame, Request(timestamp, ()), Stamps(captured=now), now)


def _answer(timestamp: int, *tensors: Tensor, complete: bool = False) -> Answer:
    return Answer(timestamp, {tensor.name: tensor for tensor in tensors}, 1.0, 1.0, complete)


@given(st.permutations(range(6)))
def test_answers_in_any_order_leave_in_frame_order(order: list[int]) -> None:
    joiner = _joiner()
    for timestamp in range(6):
        _send(joiner, timestamp)
    left = []
    for timestamp in order:
        joiner.answer(_answer(timestamp, IMAGE), 0.01)
        left += [settled.frame.index for settled in joiner.pop(0.0)]
    assert left == list(range(6))
    assert joiner.in_flight == 0


@given(st.lists(st.sampled_from(["image", "scores"]), min_size=2, max_size=2, unique=True))
def test_outputs_are_joined_and_give_one_credit(order: list[str]) -> None:
    joiner = _joiner("output", "label_scores")
    _send(joiner, 5)
    credits = [joiner.answer(_answer(5, IMAGE if one == "image" else SCORES), 0.0) for one in order]
    (settled,) = joiner.pop(0.0)
    assert sum(credit.round_trip is not None for credit in credits) == 1
    assert joiner.in_flight == 0
    assert set(settled.outputs) == {"output", "label_scores"}


def test_a_label_that_does_not_come_is_given_up_after_the_join_bound() -> None:
    joiner = _joiner("output", "label_scores")
    _send(joiner, 1)
    joiner.answer(_answer(1, IMAGE), 1.0)
    assert joiner.pop(0.0) == []
    joiner.expire(1.1)
    assert joiner.pop(0.0) == []
    joiner.expire(1.21)
    (settled,) = joiner.pop(0.0)
    assert (settled.outcome, set(settled.outputs)) == ("delivered", {"output"})


def test_a_label_has_as_long_again_as_its_picture_took() -> None:
    joiner = _joiner("output", "label_scores", join_timeout=None)
    for timestamp, sent, answered in ((1, 0.0, 1.0), (2, 2.0, 2.01)):
        _send(joiner, timestamp, sent)
        joiner.answer(_answer(timestamp, IMAGE), answered)
        patience = max(answered - sent, 0.2)
        joiner.expire(answered + patience - 0.01)
        assert joiner.pop(0.0) == []
        joiner.expire(answered + patience + 0.01)
        assert [set(settled.outputs) for settled in joiner.pop(0.0)] == [{"output"}]


def test_a_label_that_came_too_late_is_waited_for_longer_from_then_on() -> None:
    joiner = _joiner("output", "label_scores", join_timeout=None)
    _send(joiner, 1, 0.0)
    joiner.answer(_answer(1, IMAGE), 0.01)
    joiner.expire(0.22)
    assert [set(settled.outputs) for settled in joiner.pop(0.22)] == [{"output"}]
    assert joiner.answer(_answer(1, SCORES), 1.01).late
    for timestamp in range(2, 5):
        _send(joiner, timestamp, 2.0)
        joiner.answer(_answer(timestamp, IMAGE), 2.01)
        joiner.expire(3.5)
        joiner.answer(_answer(timestamp, SCORES), 3.51)
        assert [set(settled.outputs) for settled in joiner.pop(3.51)] == [{"output", "label_scores"}]
    for timestamp in range(10, 510):  # labels that come with their pictures make it forgotten
        _send(joiner, timestamp, 4.0)
        joiner.answer(_answer(timestamp, SCORES), 4.01)
        joiner.answer(_answer(timestamp, IMAGE), 4.01)
    assert len(joiner.pop(4.01)) == 500
    _send(joiner, 600, 5.0)
    joiner.answer(_answer(600, IMAGE), 5.01)
    joiner.expire(5.22)
    assert [set(settled.outputs) for settled in joiner.pop(5.22)] == [{"output"}]


def test_a_picture_is_waited_for_though_later_labels_have_come() -> None:
    joiner = _joiner("output", "label_scores")
    _send(joiner, 1)
    _send(joiner, 2)
    joiner.answer(_answer(2, SCORES), 0.1)
    joiner.expire(1.0)
    joiner.answer(_answer(1, IMAGE), 1.0)
    assert [(s.outcome, set(s.outputs)) for s in joiner.pop(1.0)] == []
    joiner.expire(1.0)
    assert [(s.outcome, set(s.outputs)) for s in joiner.pop(1.0)] == [("delivered", {"output"})]


def test_the_first_picture_is_waited_for_though_its_label_came_long_before() -> None:
    joiner = _joiner("output", "label_scores", image_output=None)
    _send(joiner, 1)
    joiner.answer(_answer(1, SCORES), 1.0)
    joiner.expire(2.0)
    joiner.answer(_answer(1, PICTURE), 2.0)
    (settled,) = joiner.pop(2.0)
    assert set(settled.outputs) == {"output", "label_scores"}


def test_where_no_picture_comes_frames_do_not_wait_for_one_for_ever() -> None:
    joiner = _joiner("label_scores", "other", image_output=None)
    for timestamp, now in ((1, 1.0), (2, 7.0)):
        _send(joiner, timestamp, now)
        joiner.answer(_answer(timestamp, SCORES), now)
    joiner.expire(7.0)
    _send(joiner, 3, 8.0)
    joiner.answer(_answer(3, SCORES), 8.0)
    joiner.expire(8.21)
    assert [settled.outcome for settled in joiner.pop(12.0)] == ["delivered"]
    joiner.expire(12.0)
    assert [settled.outcome for settled in joiner.pop(12.0)] == ["delivered", "delivered"]


def test_a_frame_that_the_graph_dropped_is_noticed_by_a_later_answer() -> None:
    joiner = _joiner()
    _send(joiner, 1)
    _send(joiner, 2)
    joiner.answer(_answer(2, IMAGE), 1.0)
    joiner.expire(1.3)
    assert joiner.in_flight == 0
    assert [(s.frame.index, s.outcome, s.reason) for s in joiner.pop(0.0)] == [
        (1, "dropped", "in_graph"),
        (2, "delivered", ""),
    ]


def test_a_unary_call_that_is_overtaken_by_others_is_waited_for() -> None:
    joiner = _joiner()
    _send(joiner, 1)
    _send(joiner, 2)
    joiner.answer(_answer(2, IMAGE, complete=True), 1.0)
    joiner.expire(9.0)
    assert joiner.in_flight == 1
    joiner.answer(_answer(1, IMAGE, complete=True), 9.0)
    assert [(settled.frame.index, settled.outcome) for settled in joiner.pop(9.0)] == [
        (1, "delivered"),
        (2, "delivered"),
    ]


def test_an_answer_that_never_comes_fails_at_its_deadline_and_returns_the_credit() -> None:
    joiner = _joiner()
    _send(joiner, 1)
    assert joiner.next_deadline() == 10.0
    assert not joiner.overdue(9.9)
    assert joiner.overdue(10.0)
    joiner.expire(10.0)
    assert joiner.in_flight == 0
    (settled,) = joiner.pop(0.0)
    assert (settled.outcome, settled.reason) == ("failed", "deadline")


def test_no_time_runs_out_while_the_server_is_away() -> None:
    joiner = _joiner()
    _send(joiner, 1)
    joiner.hold(941.0)
    assert joiner.next_deadline() is None
    assert not joiner.overdue(1000.0)
    joiner.expire(1000.0)
    assert [request.timestamp for request in joiner.unanswered(1000.0)] == [1]
    joiner.resent(1, 1000.0)
    assert joiner.next_deadline() == 1010.0


def test_answers_of_no_use_are_told_apart() -> None:
    joiner = _joiner("output", "label_scores")
    _send(joiner, 1)
    assert joiner.answer(_answer(9, IMAGE), 0.0).stray
    assert not joiner.answer(_answer(1, IMAGE), 0.0).duplicate
    assert joiner.answer(_answer(1, IMAGE), 0.0).duplicate


def test_an_answer_to_a_frame_that_has_failed_says_how_late_it_is() -> None:
    joiner = _joiner("output")
    _send(joiner, 1)
    joiner.expire(1000.0)
    joiner.pop(1000.0)
    credit = joiner.answer(_answer(1, IMAGE), 1003.0)
    assert (credit.late, credit.overdue, credit.stray) == (True, 1003.0, False)


def test_an_answer_to_a_frame_of_long_ago_is_late_and_no_stray() -> None:
    joiner = _joiner("output")
    for timestamp in range(1, Joiner.REMEMBERED + 3):
        _send(joiner, timestamp)
        joiner.answer(_answer(timestamp, IMAGE), 0.0)
        joiner.pop(0.0)
    credit = joiner.answer(_answer(1, IMAGE), 0.0)
    assert (credit.late, credit.overdue, credit.stray) == (True, None, False)


def test_an_error_without_a_name_waits_for_its_frame() -> None:
    joiner = _joiner()
    _send(joiner, 1)
    _send(joiner, 2)
    joiner.failure(None, BadInputError("no"))
    assert joiner.in_flight == 2
    joiner.answer(_answer(2, IMAGE), 1.0)
    joiner.expire(1.3)
    assert [(s.outcome, s.reason) for s in joiner.pop(0.0)] == [("failed", "server_error"), ("delivered", "")]


def test_as_many_errors_as_frames_fail_them_all() -> None:
    joiner = _joiner()
    _send(joiner, 1)
    _send(joiner, 2)
    joiner.failure(None, BadInputError("no"))
    joiner.failure(None, BadInputError("no"))
    assert joiner.in_flight == 0
    assert [s.outcome for s in joiner.pop(0.0)] == ["failed", "failed"]


def _lose(joiner: Joiner, now: float) -> list[int]:
    """Lose the session, and open another one at once; the timestamps that it carries."""
    joiner.hold(now)
    timestamps = [request.timestamp for request in joiner.unanswered(now)]
    for timestamp in timestamps:
        joiner.resent(timestamp, now)
    return timestamps


def test_new_sessions_carry_what_was_not_answered_as_often_as_it_takes_within_the_time() -> None:
    joiner = _joiner()
    for timestamp in (1, 2, 3):
        _send(joiner, timestamp)
    joiner.answer(_answer(2, IMAGE), 0.0)
    assert all(_lose(joiner, 0.59 * second) == [1, 3] for second in range(101))
    assert not joiner.server_gone


def test_the_oldest_frame_is_given_up_in_the_end_and_those_behind_it_have_their_own_time() -> None:
    joiner = _joiner()
    for timestamp in (1, 2, 3):
        _send(joiner, timestamp)
    assert _lose(joiner, 5.0) == [1, 2, 3]
    assert _lose(joiner, 65.0) == [2, 3]
    (settled,) = joiner.pop(65.0)
    assert str(settled.error) == "no answer in 2 sessions within 60 s (reconnect_timeout)"
    assert _lose(joiner, 124.0) == [2, 3]
    joiner.answer(_answer(2, IMAGE), 124.5)
    assert _lose(joiner, 125.0) == []
    assert not joiner.server_gone


def test_the_server_is_gone_when_frame_after_frame_is_given_up() -> None:
    joiner = _joiner()
    for timestamp in (1, 2, 3):
        _send(joiner, timestamp)
    _lose(joiner, 0.0)
    _lose(joiner, 60.0)
    assert not joiner.server_gone
    assert _lose(joiner, 120.0) == [3]
    assert joiner.server_gone


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.sets(st.integers(0, 9)))))
def test_every_frame_leaves_once_and_in_order_however_sessions_end(losses: list[tuple[float, set[int]]]) -> None:
    joiner, now = _joiner(), 0.0
    for timestamp in range(10):
        _send(joiner, timestamp)
    left = []
    for seconds, answered in losses:
        now += seconds
        for timestamp in answered:
            joiner.answer(_answer(timestamp, IMAGE), now)
        _lose(joiner, now)
        left += joiner.pop(now)
    joiner.fail_unanswered("connection_lost", BadInputError("gone"))
    left += joiner.pop(now)
    assert [settled.frame.index for settled in left] == list(range(10))
    ever = set().union(*(answered for _, answered in losses))
    if now < 60:
        assert {settled.frame.index for settled in left if settled.outcome == "delivered"} == ever


@given(
    st.lists(
        st.one_of(
            st.just(("send", 0)),
            st.tuples(st.sampled_from(["image", "scores", "fail"]), st.integers(0, 20)),
            st.tuples(st.just("wait"), st.integers(1, 5)),
        ),
        max_size=60,
    )
)
def test_whatever_happens_every_frame_ends_once_and_every_credit_returns(events: list[tuple[str, int]]) -> None:
    joiner = _joiner("output", "label_scores")
    now, sent, ended = 0.0, 0, []
    for kind, value in events:
        if kind == "send":
            _send(joiner, sent, now)
            sent += 1
        elif kind == "wait":
            now += value
            joiner.expire(now)
        elif kind == "fail":
            joiner.failure(value if value < 10 else None, BadInputError("no"))
        else:
            joiner.answer(_answer(value, IMAGE if kind == "image" else SCORES), now)
        ended += [settled.frame.index for settled in joiner.pop(0.0)]
        assert 0 <= joiner.in_flight <= sent - len(ended)
    joiner.expire(now + 100)
    ended += [settled.frame.index for settled in joiner.pop(0.0)]
    assert ended == list(range(sent))
    assert joiner.in_flight == 0
