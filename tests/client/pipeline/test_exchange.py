"""What the exchange allows in which phase, with time as a number. No step of a test waits."""

from collections.abc import Callable

import numpy as np
import pytest

from stream_client.errors import BadInputError, DeadlineError, StreamClientError
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.monitoring.ledger import Ledger
from stream_client.monitoring.observer import Observer
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.flow import FixedWindow, frame_queue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.steps import Done, Finish, Lost, Resend, SendFrame
from stream_client.transport.base import Answer, Closed, Event, Failure, Request

IMAGE = np.zeros((2, 2, 3), np.uint8)
TIMEOUT = 10.0


class Flow:
    """An exchange with an open session, a window of four frames and time as a number."""

    def __init__(self, *, resend: bool = False, reuses: bool = False) -> None:
        self.now = 100.0
        joiner = Joiner(
            expected=frozenset({"output"}), image_output="output", request_timeout=TIMEOUT, join_timeout=1.0
        )
        self.exchange = Exchange(
            *(frame_queue("block"), FixedWindow(4), joiner, Ledger(), Observer()),
            resend=resend,
            reuses=reuses,
            clock=lambda: self.now,
        )
        self.listener: Callable[[Event], None] = self.exchange.listener()

    def offer(self, index: int) -> bool:
        return self.exchange.offer(Frame(index, index, IMAGE, self.now))

    def reuse(self, index: int) -> bool:
        return self.exchange.reuse(Frame(index, index, IMAGE, self.now))

    def send(self, index: int) -> None:
        """A frame goes from the source to the transport."""
        assert self.offer(index)
        step = self.exchange.next_step()
        assert isinstance(step, SendFrame)
        assert self.exchange.sending(step.frame, Request(index, ()), Stamps(self.now, self.now, self.now), size=1)

    def answer(self, index: int) -> None:
        tensor = Tensor("output", "UINT8", IMAGE)
        self.listener(Answer(index, {"output": tensor}, self.now, self.now, complete=True))

    def settle(self) -> list[tuple[int, str, str]]:
        """Index, outcome and reason of the frames that have ended; those delivered are handed to the sinks."""
        settled = self.exchange.next_settled() or []
        for one in settled:
            if one.outcome == "delivered":
                self.exchange.dispatched(one.stamps, reused=one.reused)
                self.exchange.delivered()
        return [(one.frame.index, one.outcome, one.reason) for one in settled]


def test_a_run_drains_after_its_source_and_ends_with_the_last_answer() -> None:
    flow = Flow()
    flow.send(0)
    flow.offer(1)
    flow.exchange.end_source()
    assert not flow.offer(2)
    step = flow.exchange.next_step()
    assert isinstance(step, SendFrame)
    assert flow.exchange.sending(step.frame, Request(1, ()), Stamps(captured=0.0), size=1)
    assert isinstance(flow.exchange.next_step(), Finish)
    for index in (0, 1):
        flow.answer(index)
    assert isinstance(flow.exchange.next_step(), Done)
    assert [index for index, _, _ in flow.settle()] == [0, 1]
    assert flow.exchange.next_settled() is None
    ledger = flow.exchange.snapshot()
    ledger.check()
    assert (ledger.delivered, ledger.dropped) == (2, {"stopped": 1})


def test_a_stop_drops_what_is_queued_and_still_takes_answers() -> None:
    flow = Flow()
    flow.send(0)
    flow.offer(1)
    flow.exchange.stop()
    assert isinstance(flow.exchange.next_step(), Finish)
    flow.answer(0)
    assert flow.settle() == [(0, "delivered", "")]
    flow.exchange.snapshot().check()
    assert flow.exchange.snapshot().dropped == {"stopped": 1}


def test_an_abort_ends_every_frame_and_no_answer_counts_after_it() -> None:
    flow = Flow()
    flow.send(0)
    for index in (1, 2):
        flow.offer(index)
    step = flow.exchange.next_step()  # in the sender's hands
    assert isinstance(step, SendFrame)
    flow.exchange.abort("stopped", StreamClientError("stopped"))
    flow.answer(0)
    assert not flow.exchange.sending(step.frame, Request(1, ()), Stamps(captured=0.0), size=1)
    assert isinstance(flow.exchange.next_step(), Done)
    assert flow.settle() == [(0, "failed", "stopped")]
    assert flow.exchange.next_settled() is None
    flow.exchange.snapshot().check()
    assert flow.exchange.snapshot().delivered == 0


def test_a_stop_after_an_abort_changes_nothing() -> None:
    flow = Flow()
    flow.exchange.abort("stopped", StreamClientError("stopped"))
    flow.exchange.stop()
    flow.exchange.end_source()
    assert isinstance(flow.exchange.next_step(), Done)


def test_events_of_an_earlier_session_are_ignored() -> None:
    flow = Flow()
    earlier = flow.listener
    flow.listener = flow.exchange.listener()
    flow.send(0)
    earlier(Closed(None))
    earlier(Failure(0, BadInputError("no")))
    flow.answer(0)
    assert flow.settle() == [(0, "delivered", "")]


def test_what_the_graph_did_not_answer_is_dropped_when_the_server_ends_a_finished_session() -> None:
    flow = Flow()
    flow.send(0)
    flow.exchange.end_source()
    assert isinstance(flow.exchange.next_step(), Finish)
    flow.listener(Closed(None))
    assert isinstance(flow.exchange.next_step(), Done)
    assert flow.settle() == [(0, "dropped", "in_graph")]


def test_a_refusal_of_the_first_request_ends_the_session_and_a_later_one_does_not() -> None:
    flow = Flow()
    flow.send(0)
    flow.listener(Failure(0, BadInputError("shape")))
    step = flow.exchange.next_step()
    assert isinstance(step, Lost)
    assert isinstance(step.error, BadInputError)
    flow = Flow()
    for index in (0, 1, 2):
        flow.send(index)
    flow.answer(0)
    flow.listener(Failure(1, BadInputError("shape")))
    flow.answer(2)
    assert [outcome for _, outcome, _ in flow.settle()] == ["delivered", "failed", "delivered"]
    flow.exchange.end_source()
    assert isinstance(flow.exchange.next_step(), Done | Finish)


def test_a_server_that_misses_three_deadlines_in_a_row_is_lost() -> None:
    flow = Flow()
    for index in range(3):
        flow.send(index)
    flow.now += TIMEOUT
    assert {reason for _, _, reason in flow.settle()} == {"deadline"}
    step = flow.exchange.next_step()
    assert isinstance(step, Lost)
    assert isinstance(step.error, DeadlineError)


@pytest.mark.parametrize("resend", [False, True])
def test_a_lost_session_fails_its_frames_or_hands_them_to_the_next(resend: bool) -> None:
    flow = Flow(resend=resend)
    for index in (0, 1):
        flow.send(index)
    error = StreamClientError("reset")
    flow.listener(Closed(error))
    assert flow.exchange.next_step() == Lost(error)
    flow.exchange.server_lost(error)
    flow.now += 100 * TIMEOUT
    flow.listener = flow.exchange.listener()
    flow.exchange.carry_over()
    if not resend:
        assert flow.settle() == [(index, "failed", "connection_lost") for index in (0, 1)]
        return
    for index in (0, 1):
        step = flow.exchange.next_step()
        assert isinstance(step, Resend)
        flow.exchange.resending(step.request, size=1)
        flow.answer(index)
    assert [outcome for _, outcome, _ in flow.settle()] == ["delivered", "delivered"]
    assert flow.exchange.snapshot().resent == 2


def test_a_frame_that_reuses_a_result_comes_behind_those_that_were_sent() -> None:
    flow = Flow(reuses=True)
    flow.send(0)
    assert flow.reuse(1)
    flow.send(2)
    flow.answer(2)
    flow.answer(0)
    assert [index for index, _, _ in flow.settle()] == [0, 1, 2]
    ledger = flow.exchange.snapshot()
    assert (ledger.entered, ledger.delivered, ledger.reused) == (3, 3, 1)
    assert "1 with the result before it" in ledger.line()


def test_no_result_is_reused_ahead_of_a_frame_that_waits_nor_without_bound() -> None:
    flow = Flow(reuses=True)
    assert flow.offer(0)
    assert not flow.reuse(1)
    step = flow.exchange.next_step()
    assert isinstance(step, SendFrame)
    assert not flow.reuse(1)
    assert flow.exchange.sending(step.frame, Request(0, ()), Stamps(flow.now, flow.now, flow.now), size=1)
    assert sum(flow.reuse(index) for index in range(1, 100)) == 11  # with the frame in flight: 2 * 4 + 4
    assert not Flow().reuse(0)


def test_a_frame_with_nothing_to_reuse_is_left_out() -> None:
    flow = Flow(reuses=True)
    assert flow.reuse(0)
    (settled,) = flow.exchange.next_settled() or []
    assert settled.reused
    flow.exchange.not_reused()
    flow.exchange.end_source()
    assert flow.exchange.snapshot().dropped == {"latency_budget": 1}
    assert isinstance(flow.exchange.next_step(), Finish)
