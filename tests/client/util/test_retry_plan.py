"""When a connection is tried again, with time as a number."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.util.backoff import Backoff
from stream_client.util.retry_plan import Retry, RetryPlan


def plan(timeout: float | None = None) -> RetryPlan:
    return RetryPlan(timeout=timeout, backoff=Backoff(first=0.1, longest=2.0, source=random.Random(0)))


def live(timeout: float | None = None) -> RetryPlan:
    """A plan of a connection that is live since time 0."""
    started = plan(timeout)
    started.begin(0.0)
    started.connected(0.0)
    return started


def cut(connection: RetryPlan, now: float) -> Retry:
    retry = connection.lost(now)
    assert retry is not None
    return retry


def refuse(connection: RetryPlan, now: float) -> Retry | None:
    return connection.failed("401", now, refused=True)


def test_a_server_that_accepts_and_closes_at_once_gets_longer_and_longer_delays() -> None:
    connection, now, delays = live(), 0.0, []
    for _ in range(12):
        now += 0.01
        delays.append(cut(connection, now).delay)
        now += delays[-1]
        connection.connected(now)
    ceilings = [min(2.0, 0.1 * 2**loss) for loss in range(12)]
    assert all(ceiling / 2 <= delay <= ceiling for delay, ceiling in zip(delays, ceilings, strict=True))
    assert now > 10.0  # twelve sessions a second would have it at 1.0


def test_a_place_that_others_take_again_and_again_is_tried_rarely() -> None:
    connection, now, retries = live(), 0.0, []
    for _ in range(6):
        now += 0.3
        retry = connection.lost(now, closed=True)
        assert retry is not None
        retries.append(retry)
        now += retry.delay
        connection.connected(now)
    assert [retry.contested for retry in retries] == [False, False, True, True, True, True]
    assert [retry.delay for retry in retries[2:]] == [30.0] * 4


def test_a_server_that_restarts_again_and_again_is_no_contest() -> None:
    connection, now = live(), 0.0
    for _ in range(6):
        now += 0.3
        retry = connection.lost(now, closed=True)
        assert retry is not None
        assert not retry.contested
        connection.failed("connection refused", now, refused=False)
        connection.connected(now)


def test_a_connection_that_lasted_gets_the_shortest_delay_again() -> None:
    connection = live()
    for now in (1.0, 2.0, 3.0, 4.0):
        cut(connection, now)
        connection.connected(now)
    assert cut(connection, 4.0 + RetryPlan.LASTING).delay <= 0.1
    assert connection.losses == 1


def test_a_stream_begun_anew_without_a_loss_counts_as_the_same_connection() -> None:
    connection = live()
    cut(connection, 1.0)
    connection.connected(1.0)
    for now in (3.0, 5.0, 7.0):
        connection.begin(now)
        connection.connected(now)
    assert cut(connection, 7.0).delay <= 0.1


@given(st.lists(st.tuples(st.sampled_from(["lost", "failed", "lasted"]), st.floats(0.0, 3.0)), max_size=40))
def test_no_delay_is_longer_than_the_longest_whatever_happens(events: list[tuple[str, float]]) -> None:
    connection, now, connected = live(), 0.0, True
    for kind, seconds in events:
        now += seconds + (RetryPlan.LASTING if kind == "lasted" else 0.0)
        retry = cut(connection, now) if connected else connection.failed("away", now, refused=False)
        assert retry is not None
        assert 0.0 < retry.delay <= 2.0
        connected = kind != "failed"
        if connected:
            connection.connected(now)


def test_attempts_end_with_the_time_limit_and_the_last_delay_ends_with_it() -> None:
    connection = live(timeout=3.0)
    assert cut(connection, 10.0).delay <= 0.1
    connection.failed("away", 10.1, refused=False)
    nearly = connection.failed("away", 12.99, refused=False)
    assert nearly is not None
    assert nearly.delay == pytest.approx(0.01)
    assert connection.failed("away", 13.0, refused=False) is None


def test_the_time_limit_begins_anew_with_each_loss() -> None:
    connection = live(timeout=3.0)
    for now in (10.0, 12.0, 14.0, 16.0):
        cut(connection, now)
        assert connection.failed("away", now + 1.0, refused=False) is not None
        connection.connected(now + 1.5)


def test_a_time_limit_of_zero_allows_one_attempt_at_the_start_and_none_after_a_loss() -> None:
    started = plan(timeout=0.0)
    started.begin(5.0)
    assert started.failed("away", 5.0, refused=False) is None
    assert live(timeout=0.0).lost(1.0) is None


def test_an_attempt_has_what_is_left_of_the_time_limit_but_long_enough_for_an_answer() -> None:
    started = plan(timeout=50.0)
    started.begin(0.0)
    assert started.attempt_seconds(0.0) == math.inf
    started.failed("away", 10.0, refused=False)
    assert started.attempt_seconds(10.0) == 40.0
    assert started.attempt_seconds(49.9) == RetryPlan.SHORTEST_ATTEMPT
    assert live(timeout=None).attempt_seconds(1.0) == math.inf


def test_a_refusal_ends_the_first_attempts_and_later_only_several_in_a_row_do() -> None:
    started = plan()
    started.begin(0.0)
    assert refuse(started, 0.0) is None
    connection = live()
    cut(connection, 1.0)
    assert refuse(connection, 2.0) is not None
    assert refuse(connection, 3.0) is not None
    assert connection.failed("away", 4.0, refused=False) is not None
    assert refuse(connection, 5.0) is not None
    assert refuse(connection, 6.0) is not None
    assert refuse(connection, 7.0) is None


def test_a_message_is_logged_once_an_outage() -> None:
    connection = live()
    logged = []
    for start in (10.0, 20.0):
        logged.append(cut(connection, start).log)
        for offset, message in enumerate(("refused", "refused", "no route", "refused")):
            retry = connection.failed(message, start + 0.1 * offset, refused=False)
            assert retry is not None
            logged.append(retry.log)
        assert connection.connected(start + 1.0) == pytest.approx(1.0)
    assert logged == [True, True, False, True, False] * 2


def test_the_log_of_short_connections_thins_out() -> None:
    connection, now, logged = live(), 0.0, []
    for number in range(1, 33):
        now += 0.1
        if cut(connection, now).log:
            logged.append(number)
        away = connection.connected(now + 0.05)
        assert (away is not None) == (number in logged)
    assert logged == [1, 2, 4, 8, 16, 32]


def test_a_long_outage_is_logged_after_any_number_of_short_connections() -> None:
    connection = live()
    for _ in range(4):
        cut(connection, 1.0)
        connection.connected(1.0)
    assert not cut(connection, 1.0).log  # the fifth
    early, late = (connection.failed("away", now, refused=False) for now in (2.0, 1.0 + RetryPlan.LASTING))
    assert early is not None
    assert late is not None
    assert (early.log, late.log) == (False, True)
    assert connection.connected(7.0) == 6.0
