import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.classify.pooling import Moments, SlidingMoments

NAMES = ("mean", "sum", "max", "min", "std", "range")


@given(
    length=st.integers(1, 12),
    values=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=60),
)
def test_the_newest_samples_are_pooled_as_if_computed_at_once(length: int, values: list[list[float]]) -> None:
    moments = SlidingMoments(length)
    for index, sample in enumerate(values):
        moments.push(np.array(sample))
        window = np.array(values[max(0, index + 1 - length) : index + 1])
        expected = {
            "mean": window.mean(axis=0),
            "sum": window.sum(axis=0),
            "max": window.max(axis=0),
            "min": window.min(axis=0),
            "std": window.std(axis=0),
            "range": np.ptp(window, axis=0),
        }
        for name in NAMES:
            np.testing.assert_allclose(moments.value.pooled(name), expected[name], rtol=1e-9, atol=1e-6)


def test_a_huge_sample_leaves_no_trace_once_it_has_left() -> None:
    moments = SlidingMoments(3)
    for value in (1e15, 1.0, 2.0, 4.0):
        moments.push(np.array([value]))
    assert moments.value.pooled("sum") == pytest.approx(7.0, abs=1e-12)
    assert moments.value.pooled("std") == pytest.approx(np.std([1, 2, 4]), abs=1e-12)


def test_samples_are_joined_a_constant_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    joins = 0
    add = Moments.__add__

    def counted(self: Moments, other: Moments) -> Moments:
        nonlocal joins
        joins += 1
        return add(self, other)

    monkeypatch.setattr(Moments, "__add__", counted)
    moments = SlidingMoments(500)
    for _ in range(5000):
        moments.push(np.zeros(1))
        _ = moments.value
    assert joins <= 3 * 5000
