"""What a run counts while it goes on."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.frames import Stamps
from stream_client.monitoring.observer import FlowSnapshot
from stream_client.monitoring.statistics import BUCKETS, Histogram, Statistics

STAMPS = Stamps(10.0, 10.1, 10.3, 10.6, 11.0, 11.5, 12.1, 12.8, 13.6, 14.5)


class Clock:
    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


def test_buckets_reach_from_a_millisecond_to_ten_seconds() -> None:
    assert (BUCKETS[0], BUCKETS[-1]) == (0.001, 10.0)
    assert list(BUCKETS) == sorted(set(BUCKETS))


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_counts_every_duration_in_the_first_bucket_that_holds_it(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.observe(seconds)
    counted = histogram.snapshot()
    assert counted.count == len(durations)
    assert counted.total == pytest.approx(sum(durations))
    for position, bound in enumerate(counted.bounds):
        assert sum(counted.counts[: position + 1]) == sum(seconds <= bound for seconds in durations)


def test_a_stage_that_was_not_passed_is_not_counted() -> None:
    tally = Statistics()
    tally.delivered(replace(STAMPS, sent=math.nan))
    counts = {stage: histogram.count for stage, histogram in tally.snapshot().stages.items()}
    assert {stage for stage, count in counts.items() if not count} == {"serialise", "round_trip"}


def test_the_window_counts_as_full_only_while_a_frame_waits_for_it() -> None:
    tally = Statistics(clock := Clock())
    for at, in_flight, queued in ((10.0, 1, 1), (11.0, 2, 1), (13.0, 2, 0), (17.0, 1, 0)):
        clock.now = at
        tally.gauges(FlowSnapshot(in_flight=in_flight, window=2, queued=queued))
    assert tally.snapshot().window_full == pytest.approx(2.0)


def test_the_frame_rate_is_that_of_the_last_seconds() -> None:
    tally = Statistics(clock := Clock())
    tally.entered()
    for index in range(40):
        clock.now = 10.0 + index / 4
        tally.delivered(replace(STAMPS, delivered=clock.now))
    assert tally.snapshot().frame_rate == pytest.approx(4.0)
    clock.now += 100
    assert tally.snapshot().frame_rate == 0.0


def test_elapsed_is_from_the_first_frame_to_the_last_delivery() -> None:
    tally = Statistics(Clock())
    assert tally.snapshot().elapsed == 0.0
    tally.entered()
    tally.delivered(STAMPS)
    assert tally.snapshot().elapsed == pytest.approx(4.5)
