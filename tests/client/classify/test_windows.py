import json
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_client.classify.features import FeatureSchema
from stream_client.classify.joints import JOINT
from stream_client.classify.windows import Resampler, Window, WindowBuffer, WindowSpec, combined_hash
from stream_client.errors import ConfigurationError

SCHEMA = FeatureSchema()
SPEC = WindowSpec(length_ms=1000, overlap_ms=500, rate=20, max_gap_ms=300)

Array = npt.NDArray[np.float64]


def pose(time: float) -> Array:
    """A person who waves once a second and walks."""
    points = np.random.default_rng(1).normal(0, 0.3, (33, 3))
    points[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1] -= 2
    points[JOINT["left_wrist"], 0] += np.sin(2 * np.pi * time)
    walked: Array = points + np.array([0.2 * time, 0, 0])
    return walked


def windows_at(rate: float, seconds: float = 4.0) -> list[Window]:
    buffer = WindowBuffer(SCHEMA, SPEC)
    windows = []
    for index in range(int(seconds * rate) + 1):
        windows += buffer.add(round(index * 1e6 / rate), pose(index / rate))
    return windows


def test_windows_begin_a_hop_apart_and_span_the_length() -> None:
    windows = windows_at(30)
    assert [window.end - window.start for window in windows] == [950_000] * len(windows)
    assert [b.start - a.start for a, b in pairwise(windows)] == [500_000] * (len(windows) - 1)
    assert len(windows) == 7


@pytest.mark.parametrize("rate", [10, 12, 15, 24, 60])
def test_windows_are_much_the_same_at_every_frame_rate(rate: float) -> None:
    for ours, theirs in zip(windows_at(rate), windows_at(30), strict=False):
        assert (ours.start, ours.end) == (theirs.start, theirs.end)
        assert ours.row is not None
        assert theirs.row is not None
        mean = len(SCHEMA.names)
        np.testing.assert_allclose(ours.row[:mean], theirs.row[:mean], atol=0.2)


def test_a_window_with_a_gap_of_a_second_is_unknown_and_later_ones_are_not() -> None:
    buffer = WindowBuffer(SCHEMA, SPEC)
    windows = []
    for index in range(181):
        if 60 < index < 90:
            continue
        windows += buffer.add(round(index * 1e6 / 30), pose(index / 30))
    for window in windows:
        touches = window.end > 2_000_000 and window.start < 3_000_000
        assert (window.row is None) == touches, window
    assert any(window.row is None for window in windows)


def test_a_window_with_a_moment_without_a_person_is_unknown() -> None:
    buffer = WindowBuffer(SCHEMA, SPEC)
    windows = []
    for index in range(91):
        windows += buffer.add(round(index * 1e6 / 30), None if index == 45 else pose(index / 30))
    for window in windows:
        assert (window.row is None) == (window.start < 1_533_000 and window.end > 1_466_000)


def windows_around_a_hidden_second(rate: float, *, wait: bool = True) -> list[Window]:
    """A person who does nothing but walk is hidden from 2 s to 3 s, of 6."""
    buffer = WindowBuffer(SCHEMA, SPEC)
    windows = []
    for index in range(int(6 * rate)):
        time = round(index * 1e6 / rate)
        if not 2 < index / rate < 3:
            windows += buffer.add(time, pose(0) + np.array([20 * index / rate, 0, 0]))
        elif wait:
            buffer.hide(time)
        else:
            windows += buffer.add(time, None)
    return windows


def test_windows_go_on_when_somebody_who_was_hidden_comes_back() -> None:
    windows = windows_around_a_hidden_second(30)
    assert [b.start - a.start for a, b in pairwise(windows)] == [500_000] * (len(windows) - 1)
    rows = [window.row for window in windows if window.row is not None]
    assert len(rows) == len(windows)
    for row in rows[2:]:  # the first one begins at rest
        np.testing.assert_allclose(row, rows[1], atol=1e-6)
    unknown = [window for window in windows_around_a_hidden_second(30, wait=False) if window.row is None]
    assert len(unknown) == 3


def test_nobody_is_taken_to_be_hidden_where_there_were_no_frames() -> None:
    assert all(window.row is None for window in windows_around_a_hidden_second(3))


def test_a_pause_of_an_hour_yields_no_flood_of_windows() -> None:
    buffer = WindowBuffer(SCHEMA, SPEC)
    for index in range(31):
        buffer.add(round(index * 1e6 / 30), pose(index / 30))
    windows = buffer.add(3_600_000_000, pose(0))
    assert 1 <= len(windows) <= 2
    assert all(window.row is None for window in windows)


def test_time_that_runs_back_begins_anew() -> None:
    buffer = WindowBuffer(SCHEMA, SPEC)
    for index in range(20):
        buffer.add(round(index * 1e6 / 30), pose(index / 30))
    windows = []
    for index in range(30):
        windows += buffer.add(round(index * 1e6 / 30), pose(index / 30))
    assert len(windows) == 1
    assert windows[0].start == 0
    assert windows[0].row is not None


@given(
    steps=st.lists(st.integers(1, 400_000), min_size=1, max_size=60),
    missing=st.sets(st.integers(0, 59)),
    rate=st.floats(5, 60),
)
def test_resampled_times_are_a_grid_without_holes(steps: list[int], missing: set[int], rate: float) -> None:
    resampler = Resampler(rate, 250, most_missing=1000)
    samples = []
    time = 0
    times = []
    for index, step in enumerate(steps):
        time += step
        times.append(time)
        samples += resampler.add(time, None if index in missing else np.full((33, 3), float(time)))
    assert [sample.step for sample in samples] == list(range(len(samples)))
    for sample in samples:
        assert abs(sample.timestamp - (times[0] + sample.step * 1e6 / rate)) <= 1
        if sample.landmarks is not None:
            # Positions were set to the time: linear interpolation gives the sample's own time back.
            assert abs(sample.landmarks[0, 0] - sample.timestamp) <= 1.5


@settings(max_examples=15)
@given(steps=st.integers(1, 120), hop=st.integers(1, 19))
def test_a_window_holds_the_features_of_its_own_samples(steps: int, hop: int) -> None:
    spec = WindowSpec(length_ms=1000, overlap_ms=1000 - 50 * hop, rate=20, pooling=("flatten",))
    schema = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
    buffer = WindowBuffer(schema, spec)
    for index in range(steps):
        for window in buffer.add(index * 50_000, pose(index / 20)):
            first = round(window.start / 50_000)
            expected = schema.compute(np.stack([pose((first + i) / 20) for i in range(20)]), np.zeros(20))
            assert window.row is not None
            np.testing.assert_allclose(window.row, expected.reshape(-1), atol=1e-9)


def test_pooling_is_what_its_name_says() -> None:
    values = np.array([[1.0, -4.0], [3.0, -2.0]])
    spec = WindowSpec(pooling=("mean", "sum", "max", "min", "std", "range"))
    assert spec.pool(values).tolist() == [2, -3, 4, -6, 3, -2, 1, -4, 1, 1, 2, 2]
    assert spec.names(("a", "b"))[:3] == ("mean:a", "mean:b", "sum:a")


def test_the_hash_covers_features_and_windows() -> None:
    assert combined_hash(SCHEMA, SPEC) != combined_hash(SCHEMA, None)
    assert combined_hash(SCHEMA, SPEC) != combined_hash(SCHEMA, WindowSpec(rate=25))
    again = WindowSpec.from_json(json.loads(json.dumps(SPEC.to_json())))
    assert combined_hash(SCHEMA, again) == combined_hash(SCHEMA, SPEC)


@pytest.mark.parametrize(
    "arguments",
    [
        {"length_ms": 0},
        {"overlap_ms": 1000},
        {"overlap_ms": -1},
        {"rate": 1},
        {"pooling": ()},
        {"pooling": ("median",)},
        {"pooling": ("flatten", "mean")},
    ],
)
def test_an_impossible_window_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"^window: "):
        WindowSpec(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", [SPEC.pooling, ("flatten",)])
@given(
    steps=st.lists(st.sampled_from([-900_000, 1, 20_000, 33_333, 80_000, 290_000, 700_000]), min_size=40, max_size=90),
    absent=st.sets(st.integers(0, 90), max_size=4),
    at=st.integers(0, 90),
)
@settings(max_examples=60, deadline=None)
def test_all_frames_at_once_give_the_same_windows(
    pooling: tuple[str, ...], steps: list[int], absent: set[int], at: int
) -> None:
    times = np.cumsum(steps).tolist()
    points = [None if index in absent else pose(index / 20) for index in range(len(times))]
    spec = WindowSpec(length_ms=300, overlap_ms=100, rate=20, max_gap_ms=300, pooling=pooling)
    one, many = WindowBuffer(SCHEMA, spec), WindowBuffer(SCHEMA, spec)
    single = [window for time, landmarks in zip(times, points, strict=True) for window in one.add(time, landmarks)]
    together = [*many.add_all(times[:at], points[:at]), *many.add_all(times[at:], points[at:])]
    assert [(window.start, window.end) for window in together] == [(window.start, window.end) for window in single]
    for ours, theirs in zip(together, single, strict=True):
        np.testing.assert_array_equal(ours.row, theirs.row)
