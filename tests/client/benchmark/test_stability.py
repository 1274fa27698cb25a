"""perf_analyzer's rule, on made-up times."""

from collections import deque

import pytest

from stream_client.benchmark.stability import Stability, Window, is_stable


@pytest.mark.parametrize(
    ("windows", "stable"),
    [
        ([(100, 0.1), (100, 0.1)], False),
        ([(100, 0.1), (100, 0.1), (100, 0.1)], True),
        ([(100, 0.1), (109, 0.1), (105, 0.109)], True),
        ([(100, 0.1), (112, 0.1), (105, 0.1)], False),
        ([(100, 0.1), (100, 0.12), (100, 0.1)], False),
    ],
)
def test_three_windows_within_ten_percent_are_stable(windows: list[tuple[float, float]], stable: bool) -> None:
    assert is_stable(deque(Window(*window) for window in windows)) == stable


def test_a_steady_run_is_stable_at_the_end_of_its_third_window() -> None:
    stability = Stability(1.0, begin=100.0)
    answers = [stability.add(100.0 + 0.125 * frame, 0.05) for frame in range(1, 25)]
    assert answers.index(True) == 23


def test_slow_frames_are_not_counted_in_whole_windows() -> None:
    """Three frames a second in windows of a second: 2, 3 or 4 of them by the clock, yet a steady rate."""
    stability = Stability(1.0, begin=0.0)
    assert any(stability.add(0.34 * frame, 0.3) for frame in range(1, 14))


def test_a_run_that_slows_down_is_not_stable() -> None:
    stability = Stability(1.0, begin=0.0)
    now, step = 0.0, 0.1
    for _ in range(60):
        now += step
        step *= 1.03
        assert not stability.add(now, 0.05)
