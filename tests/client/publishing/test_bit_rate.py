"""How the bit rate follows a line, with time as a number."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.publishing.bit_rate import BitRate


def rate() -> BitRate:
    return BitRate(lowest=50_000, tolerated=0.2)


def test_without_a_lag_there_is_no_limit() -> None:
    found = rate()
    for second in range(100):
        found.update(float(second), lag=0.1, line=1e5, wanted=3e5)
    assert found.limit is None


def test_a_lag_brings_it_below_the_line_at_once() -> None:
    found = rate()
    found.update(0.0, lag=0.3, line=200_000, wanted=300_000)
    assert found.limit is not None
    assert 0.75 * 200_000 <= found.limit <= 0.9 * 200_000


def test_it_rises_slowly_and_ends_when_the_frames_have_what_they_want() -> None:
    found = rate()
    found.update(0.0, lag=0.3, line=200_000, wanted=300_000)
    limits, now = [found.limit], 0.0
    while found.limit is not None:
        now += 0.1
        found.update(now, lag=0.0, line=None, wanted=300_000)
        if found.limit != limits[-1]:
            limits.append(found.limit)
    numbers = [limit for limit in limits if limit is not None]
    assert numbers == sorted(numbers)
    assert all(after <= 1.2 * before for before, after in pairwise(numbers))
    assert now >= 2.0 * len(numbers) * 0.9


def test_a_rise_that_brings_a_lag_is_tried_less_often() -> None:
    found, now, rises = rate(), 0.0, []
    found.update(now, lag=0.3, line=200_000, wanted=300_000)
    kept = found.limit
    while now < 60.0:
        now += 0.1
        higher = found.limit is None or found.limit > (kept or 0)
        if higher:
            rises.append(now)
        found.update(now, lag=0.3 if higher else 0.0, line=200_000, wanted=300_000)
    gaps = [after - before for before, after in pairwise(rises) if after - before > 1.0]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 2 * gaps[0]


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(1.0, 1e8)), max_size=60))
def test_it_never_falls_below_the_lowest(steps: list[tuple[float, float]]) -> None:
    found = rate()
    for number, (lag, line) in enumerate(steps):
        found.update(0.3 * number, lag=lag, line=line, wanted=300_000)
        assert found.limit is None or found.limit == pytest.approx(50_000, rel=0.15) or found.limit > 50_000
