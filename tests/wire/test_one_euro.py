"""The One-Euro filter."""

import numpy as np
import pytest

from kserve_wire.one_euro import OneEuroFilter


def test_slow_values_are_smoothed_and_fast_values_pass() -> None:
    slow, fast = (OneEuroFilter(min_cutoff=0.05, beta=beta) for beta in (0.0, 80.0))
    for timestamp, value in ((0, 0.0), (33_333, 1.0)):
        values = np.array([value])
        a, b = slow.apply(values, timestamp, 1.0)[0], fast.apply(values, timestamp, 1.0)[0]
    assert a < 0.02
    assert b > 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_keep_their_dtype_and_are_smoothed_in_float64(dtype: type[np.float64]) -> None:
    single, double = (OneEuroFilter(min_cutoff=0.05, beta=80.0) for _ in range(2))
    for timestamp in range(0, 20 * 33_333, 33_333):
        values = np.random.default_rng(timestamp).uniform(0, 1, (4, 3)).astype(dtype)
        got, wanted = single.apply(values, timestamp, 0.5), double.apply(values.astype(np.float64), timestamp, 0.5)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, wanted.astype(dtype))


def test_values_pass_unchanged_first_after_a_reset_and_if_the_timestamp_does_not_rise() -> None:
    smoother = OneEuroFilter(min_cutoff=0.05, beta=0.0)
    assert smoother.apply(np.array([1.0]), 10, 1.0)[0] == 1.0
    assert smoother.apply(np.array([2.0]), 10, 1.0)[0] == 2.0
    assert smoother.apply(np.array([2.0]), 20, 1.0)[0] < 1.1  # only the first value at 10 µs has an effect
    smoother.reset()
    assert smoother.apply(np.array([3.0]), 30, 1.0)[0] == 3.0
