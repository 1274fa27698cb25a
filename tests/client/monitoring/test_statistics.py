"""What a run counts while it goes on."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client import StreamClient, TransportOptions
from stream_client.frames import Stamps
from stream_client.monitoring.histogram import BUCKETS, Histogram
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.observer import FlowSnapshot
from stream_client.monitoring.statistics import Statistics
from tests.support.kserve_server import ScriptedServer

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
    statistics = Statistics()
    statistics.delivered(replace(STAMPS, sent=math.nan))
    counts = {stage: histogram.count for stage, histogram in statistics.snapshot().stages.items()}
    assert {stage for stage, count in counts.items() if not count} == {"serialise", "round_trip"}


def test_the_window_counts_as_full_only_while_a_frame_waits_for_it() -> None:
    statistics = Statistics(clock := Clock())
    for at, in_flight, queued in ((10.0, 1, 1), (11.0, 2, 1), (13.0, 2, 0), (17.0, 1, 0)):
        clock.now = at
        statistics.gauges(FlowSnapshot(in_flight=in_flight, window=2, queued=queued))
    assert statistics.snapshot().window_full == pytest.approx(2.0)


def test_the_frame_rate_is_that_of_the_last_seconds() -> None:
    statistics = Statistics(clock := Clock())
    statistics.entered()
    for index in range(40):
        clock.now = 10.0 + index / 4
        statistics.delivered(replace(STAMPS, delivered=clock.now))
    assert statistics.snapshot().frame_rate == pytest.approx(4.0)
    clock.now += 100
    assert statistics.snapshot().frame_rate == 0.0


def test_elapsed_is_from_the_first_frame_to_the_last_delivery() -> None:
    statistics = Statistics(Clock())
    assert statistics.snapshot().elapsed == 0.0
    statistics.entered()
    statistics.delivered(STAMPS)
    assert statistics.snapshot().elapsed == pytest.approx(4.5)


def test_the_counts_are_those_of_the_runs_own_ledger(clip: Path, server: ScriptedServer) -> None:
    statistics = Statistics()
    assert statistics.snapshot().ledger == LedgerSnapshot()
    transport = TransportOptions(server.address, model_name="graph")
    summary = StreamClient(str(clip), (), transport, observers=[statistics]).run()
    assert statistics.snapshot().ledger == summary.ledger
    assert summary.ledger.delivered == 30


def test_a_connection_that_was_lost_and_came_back_is_a_reconnection() -> None:
    statistics = Statistics()
    for state in ("connecting", "live", "lost", "connecting", "live"):
        statistics.state("server", state)
    found = statistics.snapshot().connections["server"]
    assert (found.state, found.reconnections) == ("live", 1)
