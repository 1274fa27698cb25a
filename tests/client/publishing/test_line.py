"""A line's rate and the lag of what is sent on it, from bytes and times."""

import pytest

from stream_client.publishing.line import Line


def run(line: Line, *, gives: float, carries: float, seconds: float, distance: float = 0.0) -> float:
    """Give a line ``gives`` bytes a second, 25 times a second; what it carries arrives ``distance`` later."""
    queued, arrived = 0.0, 0.0
    on_the_way: list[tuple[float, float]] = []
    now = 0.0
    while now < seconds:
        line.sent(round(gives / 25), now)
        queued += round(gives / 25)
        moved = min(queued, carries / 25)
        queued -= moved
        on_the_way.append((now + 0.04 + distance, moved))
        now += 0.04
        arrived += sum(size for at, size in on_the_way if at <= now)
        on_the_way = [(at, size) for at, size in on_the_way if at > now]
        line.queued(round(queued + sum(size for _, size in on_the_way)), now)
    return now


def test_a_line_that_takes_everything_has_no_lag() -> None:
    line = Line()
    assert line.lag(run(line, gives=40_000, carries=400_000, seconds=5.0)) == 0.0


@pytest.mark.parametrize("distance", [0.0, 0.3])
def test_a_thin_line_is_measured_and_what_waits_is_counted_in_time(distance: float) -> None:
    line = Line()
    now = run(line, gives=40_000, carries=20_000, seconds=3.0, distance=distance)
    assert line.rate == pytest.approx(20_000, rel=0.1)
    # For 3 s it got 60,000 bytes more than it took: they need 3 s.
    assert line.lag(now) == pytest.approx(3.0, abs=0.5)


def test_a_long_way_is_no_lag() -> None:
    line = Line()
    assert line.lag(run(line, gives=40_000, carries=400_000, seconds=5.0, distance=0.3)) < 0.1


def test_a_line_that_has_stopped_lags_without_a_rate() -> None:
    line = Line()
    line.sent(1000, 0.0)
    line.queued(1000, 0.0)
    line.queued(1000, 2.0)
    assert line.lag(2.0) >= 2.0
