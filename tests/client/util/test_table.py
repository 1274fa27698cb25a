"""Tables and distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.monitoring.distribution import distribution
from stream_client.util.table import table


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    text = table(("stage", "mean"), [("convert", "1.5"), ("join", "12.0"), ("none", "")])
    assert text == "stage    mean\nconvert   1.5\njoin     12.0\nnone"


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_distribution_agrees_with_numpy(values: list[float]) -> None:
    found = distribution(values)
    assert found is not None
    assert (found.count, found.minimum, found.maximum) == (len(values), min(values), max(values))
    assert (found.p50, found.p99) == (np.percentile(values, 50), np.percentile(values, 99))
    assert found.times(1000).p90 == pytest.approx(1000 * found.p90)


def test_nothing_has_no_distribution() -> None:
    assert distribution([]) is None
