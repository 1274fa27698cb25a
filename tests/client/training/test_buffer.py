import importlib.util
import io
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_client.classify import WindowSpec
from stream_client.collect.strategies import Uncertain
from stream_client.errors import ConfigurationError
from stream_client.frames import Frame, Label, Result, StreamInfo
from stream_client.training.buffer import LandmarkWindow, TrainingBuffer, augment, flipped, torch_dataset

INFO = StreamInfo("test", 64, 48)
WINDOW = WindowSpec(length_ms=500, overlap_ms=400, rate=20)
POINTS = np.random.default_rng(0).normal(0, 50, (33, 3))


def result(index: int, label: str | None = "up", rate: float = 20) -> Result:
    image = np.zeros((300, 200, 3), np.uint8)
    frame = Frame(index, round(index * 1e6 / rate), image, 0.0)
    return Result(frame, image, None if label is None else Label(label, 0.8, {label: 0.8}))


def sample(number: int, confidence: float = 0.5) -> LandmarkWindow:
    return LandmarkWindow(number, np.zeros((2, 33, 3)), "up", confidence)


def test_a_stream_becomes_labelled_windows() -> None:
    buffer = TrainingBuffer(lambda r: POINTS + r.frame.index, window=WINDOW)
    buffer.open(INFO)
    for index in range(20):
        assert buffer.write(result(index))
    buffer.close()
    samples = list(buffer)
    assert [s.timestamp for s in samples] == [450_000, 550_000, 650_000, 750_000, 850_000, 950_000]
    assert samples[0].landmarks.shape == (10, 33, 3)
    np.testing.assert_allclose(samples[0].landmarks[3], POINTS + 3)
    assert (samples[0].label, samples[0].confidence) == ("up", 0.8)


def test_only_windows_that_a_strategy_wants_are_samples() -> None:
    buffer = TrainingBuffer(lambda r: POINTS, window=WINDOW, strategies=[Uncertain(0.4, 0.6)])
    buffer.open(INFO)
    for index in range(40):
        score = 0.5 if index >= 30 else 0.8
        buffer.write(replace(result(index), label=Label("up", score, {"up": score})))
    buffer.close()
    samples = list(buffer)
    assert min(s.timestamp for s in samples) >= 1_450_000
    assert {s.confidence for s in samples} == {0.5}


def test_windows_with_a_gap_or_without_a_label_are_no_samples() -> None:
    buffer = TrainingBuffer(lambda r: None if r.frame.index == 12 else POINTS, window=WINDOW)
    buffer.open(INFO)
    for index in range(40):
        buffer.write(result(index, None if index >= 30 else "up"))
    buffer.close()
    times = [s.timestamp for s in buffer]
    assert not [t for t in times if 600_000 <= t < 1_050_000]
    assert max(times) < 1_500_000
    assert min(t for t in times if t > 600_000) >= 1_050_000


def test_the_newest_samples_win_and_the_books_add_up() -> None:
    buffer = TrainingBuffer(lambda r: None, capacity=3)
    for number in range(5):
        buffer.add(sample(number))
    assert [s.timestamp for s in buffer.snapshot()] == [2, 3, 4]
    first = buffer.take()
    assert first is not None
    assert first.timestamp == 2
    counts = buffer.counts
    assert (counts.added, counts.taken, counts.overwritten, counts.waiting) == (5, 1, 2, 2)
    buffer.add(sample(5))  # the place of what was taken is free: nothing is lost
    assert buffer.counts.overwritten == 2
    assert [s.timestamp for s in (buffer.take(), buffer.take(), buffer.take()) if s] == [3, 4, 5]


def test_producer_and_consumer_at_full_speed_lose_only_what_is_counted() -> None:
    buffer = TrainingBuffer(lambda r: None, capacity=50)
    total = 20_000
    seen: list[int] = []
    consumer = threading.Thread(target=lambda: seen.extend(s.timestamp for s in buffer))
    consumer.start()
    for number in range(total):
        buffer.add(sample(number))
    buffer.close()
    consumer.join()
    counts = buffer.counts
    assert seen == sorted(set(seen))
    assert counts.added == total == counts.taken + counts.overwritten
    assert counts.taken == len(seen)
    assert counts.waiting == 0
    assert len(buffer) <= 50


def test_taking_from_an_empty_buffer_waits_no_longer_than_asked() -> None:
    buffer = TrainingBuffer(lambda r: None)
    assert buffer.take(timeout=0.01) is None


def test_no_file_is_written() -> None:
    opened: list[Any] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("open", "os.mkdir", "os.rename", "socket.connect"):
            opened.append((event, arguments))

    sys.addaudithook(hook)
    buffer = TrainingBuffer(lambda r: POINTS, window=WINDOW, crop=lambda r: r.image)
    buffer.open(INFO)
    for index in range(100):
        buffer.write(result(index))
    buffer.close()
    list(buffer)
    watching = False
    assert not opened


def test_crops_are_small_copies() -> None:
    buffer = TrainingBuffer(lambda r: POINTS, window=WINDOW, crop=lambda r: r.image)
    buffer.open(INFO)
    given = [result(index) for index in range(10)]
    for item in given:
        buffer.write(item)
    (only,) = buffer.snapshot()
    assert only.crop is not None
    assert max(only.crop.shape) <= TrainingBuffer.CROP_SIDE
    assert not np.shares_memory(only.crop, given[-1].image)


def test_uncertain_samples_come_more_often_on_request() -> None:
    buffer = TrainingBuffer(lambda r: None)
    rng = np.random.default_rng(0)
    assert buffer.sample(4, rng) == []
    buffer.add(sample(0, confidence=1.0))
    buffer.add(sample(1, confidence=0.0))
    drawn = buffer.sample(2000, rng, uncertainty_weight=3.0)
    share = np.mean([s.timestamp for s in drawn])
    assert share == pytest.approx(0.8, abs=0.05)
    assert np.mean([s.timestamp for s in buffer.sample(2000, rng)]) == pytest.approx(0.5, abs=0.05)


def test_a_dry_run_prints_the_samples() -> None:
    out = io.StringIO()
    buffer = TrainingBuffer(lambda r: POINTS, window=WINDOW, capacity=1, print_to=out)
    buffer.open(INFO)
    for index in range(12):
        buffer.write(result(index))
    assert out.getvalue().splitlines() == [
        "0.450 s  up  0.80  landmarks 10x33x3",
        "0.550 s  up  0.80  landmarks 10x33x3",
    ]


def test_augmentation_varies_landmarks_and_keeps_the_original() -> None:
    original = LandmarkWindow(0, np.repeat(POINTS[None], 3, axis=0), "left", 0.5)
    before = original.landmarks.copy()
    varied = augment(original, np.random.default_rng(0))
    assert not np.allclose(varied.landmarks, before)
    np.testing.assert_array_equal(original.landmarks, before)
    assert flipped(original, "right").label == "right"
    np.testing.assert_allclose(flipped(flipped(original, "right"), "left").landmarks, before)


def test_a_buffer_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one sample"):
        TrainingBuffer(lambda r: None, capacity=0)


def test_pytorch_reads_each_sample_once_or_is_said_to_be_missing() -> None:
    buffer = TrainingBuffer(lambda r: None)
    buffer.add(sample(0))
    buffer.add(LandmarkWindow(1, np.ones((2, 33, 3)), "other", 0.5))
    buffer.close()
    if importlib.util.find_spec("torch") is None:
        with pytest.raises(ConfigurationError, match="PyTorch is not installed"):
            torch_dataset(buffer, ("up",))
        return
    items = list(torch_dataset(buffer, ("up",), seed=0))
    assert [(tuple(landmarks.shape), target) for landmarks, target in items] == [((2, 33, 3), 0)]
