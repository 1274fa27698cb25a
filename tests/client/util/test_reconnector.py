"""The loop around attempts: what it waits for, logs and raises."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from stream_client.util.backoff import Backoff
from stream_client.util.reconnector import LinkState, Reconnector
from stream_client.util.retry_plan import RetryPlan


class Link:
    """A connection whose attempts raise what ``errors`` says, one after another; then they succeed."""

    def __init__(self, *errors: Exception | None, timeout: float | None = None) -> None:
        self._errors: Iterator[Exception | None] = iter(errors)
        self.attempts = 0
        self.states: list[LinkState] = []
        self.stop = threading.Event()
        self.during_attempt: Callable[[], object] = lambda: None
        self.backoff = Backoff(first=0.001, longest=0.002)
        self.reconnector = Reconnector(
            "camera",
            self._attempt,
            RetryPlan(timeout=timeout, backoff=self.backoff),
            self.stop,
            self.states.append,
            errors=(OSError,),
            refuses=lambda error: isinstance(error, PermissionError),
        )

    def _attempt(self, within: float) -> None:
        self.attempts += 1
        self.during_attempt()
        error = next(self._errors, None)
        if error is not None:
            raise error


def test_attempts_go_on_until_one_succeeds_and_equal_errors_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    link = Link(*[OSError("no route")] * 5, OSError("refused"))
    assert link.reconnector.connect()
    assert link.states == ["connecting"] * 7 + ["live"]
    assert caplog.messages == ["camera: no route; trying again", "camera: refused; trying again"]


def test_a_loss_and_its_end_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    link = Link()
    assert link.reconnector.connect()
    assert link.reconnector.lost(OSError("reset"))
    assert link.reconnector.connect()
    assert link.states == ["connecting", "live", "lost", "connecting", "live"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert caplog.messages[0] == "camera lost: reset; reconnecting"
    assert caplog.messages[1].startswith("camera live again after")


def test_connections_that_do_not_last_fill_no_log_and_keep_the_back_off(caplog: pytest.LogCaptureFixture) -> None:
    link = Link()
    assert link.reconnector.connect()
    for _ in range(20):
        assert link.reconnector.lost(OSError("too many sessions"))
        assert link.reconnector.connect()
    assert link.attempts == 21
    assert link.backoff.attempt == 20
    assert [message for message in caplog.messages if "lost" in message] == [
        "camera lost: too many sessions; reconnecting",
        *[f"camera lost ({count} times in a row): too many sessions; reconnecting" for count in (2, 4, 8, 16)],
    ]


def test_the_error_of_the_last_attempt_is_raised_when_there_is_no_point_in_another() -> None:
    link = Link(OSError("no route"), PermissionError("401"), OSError("never tried"))
    with pytest.raises(PermissionError, match="401"):
        link.reconnector.connect()
    assert link.attempts == 2


def test_an_error_of_another_kind_is_raised_at_once() -> None:
    link = Link(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        link.reconnector.connect()
    assert link.attempts == 1


def test_no_attempt_is_made_after_a_loss_with_a_time_limit_of_zero() -> None:
    link = Link(timeout=0.0)
    assert link.reconnector.connect()
    assert not link.reconnector.lost(OSError("reset"))
    assert link.states[-1] == "lost"


def test_a_stop_ends_a_wait_between_attempts() -> None:
    link = Link(*[OSError("no route")] * 3)
    link.backoff.first = link.backoff.longest = 3600.0
    states: list[bool] = []
    thread = threading.Thread(target=lambda: states.append(link.reconnector.connect()))
    thread.start()
    link.stop.set()
    thread.join(30)
    assert states == [False]


def test_a_stop_during_an_attempt_that_fails_is_no_error() -> None:
    link = Link(PermissionError("interrupted"))
    link.during_attempt = link.stop.set
    assert not link.reconnector.connect()
    assert link.attempts == 1
