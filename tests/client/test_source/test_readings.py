"""Loss, duplicates, order and latency from codes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.test_source.code import FrameCode
from stream_client.test_source.readings import ReadbackReport, Reading, Tally

START = 1_700_000_000_000_000


def tallied(indices: list[int | None], *, latency: int | None = None) -> ReadbackReport:
    tally = Tally()
    for position, index in enumerate(indices):
        if index is None:
            tally.add(Reading(position, None, None, 0))
            continue
        time = START + 10_000 * index
        tally.add(Reading(position, FrameCode(index, time), None if latency is None else time + latency, time))
    return tally.report()


@pytest.mark.parametrize(
    ("indices", "lost", "duplicates", "out_of_order", "unreadable"),
    [
        ([5, 6, 7, 8], 0, 0, 0, 0),
        ([0, 1, 4, 5], 2, 0, 0, 0),
        ([0, 1, 1, 2, 1], 0, 2, 0, 0),
        ([0, 2, 1, 3], 0, 0, 1, 0),
        ([3, 1, 4], 1, 0, 1, 0),
        ([0, None, 2], 1, 0, 0, 1),
    ],
)
def test_faults_are_counted(
    indices: list[int | None], lost: int, duplicates: int, out_of_order: int, unreadable: int
) -> None:
    report = tallied(indices)
    assert (report.lost, report.duplicates, report.out_of_order, report.unreadable) == (
        lost,
        duplicates,
        out_of_order,
        unreadable,
    )
    assert report.intact == (not any((lost, duplicates, out_of_order, unreadable)))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80))
def test_every_number_is_lost_or_came_and_every_frame_is_new_or_a_duplicate(indices: list[int]) -> None:
    report = tallied(list(indices))
    distinct = len(set(indices))
    assert (report.first, report.last) == (min(indices), max(indices))
    assert distinct + report.lost == max(indices) - min(indices) + 1
    assert distinct + report.duplicates == len(indices)
    assert report.restarts == 0


def test_numbers_that_begin_anew_at_a_later_time_are_a_restart() -> None:
    tally = Tally()
    for position, (index, time) in enumerate(((7, 100), (8, 200), (10, 400), (0, 900), (1, 1000), (3, 1200))):
        tally.add(Reading(position, FrameCode(index, time), None, time))
    report = tally.report()
    assert (report.restarts, report.lost, report.duplicates, report.out_of_order) == (1, 2, 0, 0)


def test_latency_is_from_painting_to_arrival() -> None:
    report = tallied([0, 1, 2], latency=40_000)
    assert report.latency is not None
    assert (report.latency.count, report.latency.mean, report.latency.maximum) == (3, pytest.approx(0.04), 0.04)


def test_a_file_that_plays_at_half_speed_has_a_timing_error() -> None:
    tally = Tally()
    for index in range(3):
        tally.add(Reading(index, FrameCode(index, START + 100_000 * index), None, 200_000 * index))
    report = tally.report()
    assert report.latency is None
    assert report.timing_error is not None
    assert report.timing_error.maximum == pytest.approx(0.2)


def test_frames_that_the_reader_missed_are_told_apart() -> None:
    tally = Tally()
    for index in (0, 1, 4):
        tally.add(Reading(index, FrameCode(index, START + index), None, index))
    report = tally.report()
    assert (report.lost, report.unread) == (2, 2)


def test_a_huge_gap_costs_no_memory() -> None:
    report = tallied([0, 2**31])
    assert report.lost == 2**31 - 1
