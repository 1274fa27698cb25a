"""The phases of a session with the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import ConnectionLostError, DeadlineError, ProtocolError
from stream_client.pipeline.phases import SessionPhase, SessionState


def begun() -> SessionState:
    session = SessionState()
    session.begin()
    return session


def test_a_session_that_was_finished_and_closed_without_an_error_has_ended() -> None:
    session = begun()
    session.finish()
    session.closed(None)
    assert (session.phase, session.loss) == (SessionPhase.ENDED, None)


def test_a_session_that_the_server_closes_too_early_is_lost() -> None:
    session = begun()
    session.closed(None)
    assert session.phase is SessionPhase.LOST
    assert isinstance(session.loss, ConnectionLostError)


def test_a_finished_session_that_breaks_is_lost() -> None:
    session, error = begun(), ConnectionLostError("reset")
    session.finish()
    session.closed(error)
    assert (session.phase, session.loss) == (SessionPhase.LOST, error)


@pytest.mark.parametrize("finished", [False, True])
def test_the_first_reason_for_the_end_counts(finished: bool) -> None:
    session, first = begun(), ProtocolError("no KServe")
    if finished:
        session.finish()
    session.closed(first)
    session.closed(None)
    session.closed(ConnectionLostError("reset"))
    assert (session.phase, session.loss) == (SessionPhase.LOST, first)


@given(st.lists(st.sampled_from(["answer", "deadline", "begin"]), max_size=30))
def test_only_deadlines_in_a_row_within_one_session_lose_it(events: list[str]) -> None:
    session, in_a_row = begun(), 0
    for event in events:
        if event == "answer":
            session.answered()
        elif event == "deadline":
            session.deadline_missed()
        else:
            session.begin()
        lost_before = event != "begin" and in_a_row >= SessionState.SILENT_DEADLINES
        in_a_row = in_a_row + 1 if event == "deadline" else 0
        lost = lost_before or in_a_row >= SessionState.SILENT_DEADLINES
        assert (session.phase is SessionPhase.LOST) == lost
        assert isinstance(session.loss, DeadlineError) == lost
        if lost:
            return


def test_a_new_session_is_open_again_and_remembers_that_the_server_has_answered() -> None:
    session = begun()
    session.answered()
    session.closed(None)
    assert session.begin() == 2
    assert (session.phase, session.loss, session.ever_answered) == (SessionPhase.OPEN, None, True)
