"""Tracks through noise, misses, occlusion and crossing, against the truth."""

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.errors import ConfigurationError
from stream_client.frames import Detections
from stream_client.tracking import ByteTrack
from stream_client.tracking.motion import Motions

FRAME = 33_333


def seen(boxes: npt.NDArray[np.floating], scores: tuple[float, ...] = (0.9,), classes: int = 0) -> Detections:
    table = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.resize(np.array(scores, np.float32), len(table)), np.full(len(table), classes))


def box(x: float, y: float = 100, width: float = 60, height: float = 160) -> list[float]:
    return [x, y, x + width, y + height]


def test_persons_keep_their_numbers_through_noise_and_misses() -> None:
    random = np.random.default_rng(1)
    tracker = ByteTrack()
    starts, speeds = np.array([0.0, 300.0, 600.0]), np.array([1.5, -0.5, 0.5])
    numbers: list[set[int]] = [set(), set(), set()]
    for frame in range(600):
        there = [who for who in range(3) if random.random() > 0.1 or frame == 0]
        place = (starts + speeds * (frame % 100 if frame % 200 < 100 else 100 - frame % 100)) + random.normal(0, 2, 3)
        answers = tracker.update(seen(np.array([box(place[who]) for who in there])), frame * FRAME)
        for who, number in zip(there, answers, strict=True):
            if number >= 0:
                numbers[who].add(int(number))
    assert [len(each) for each in numbers] == [1, 1, 1]


def test_a_second_of_occlusion_keeps_the_number() -> None:
    tracker = ByteTrack()
    for frame in range(30):
        first = tracker.update(seen(np.array([box(3.0 * frame)])), frame * FRAME)
    for frame in range(30, 60):
        tracker.update(seen(np.zeros((0, 4), np.float32)), frame * FRAME)
    again = tracker.update(seen(np.array([box(3.0 * 60)])), 60 * FRAME)
    assert first.tolist() == again.tolist() == [1]
    assert tracker.update(seen(np.array([box(180)])), 150 * FRAME).tolist() == [-1]


def test_dropped_frames_do_not_break_a_track() -> None:
    tracker = ByteTrack()
    for frame in (*range(20), *range(20, 60, 8)):
        numbers = tracker.update(seen(np.array([box(8.0 * frame)])), frame * FRAME)
    assert numbers.tolist() == [1]


def test_somebody_who_turns_round_while_frames_are_dropped_keeps_the_number() -> None:
    tracker = ByteTrack()
    for frame in (*range(61), 62, 64, 74):
        turned = 5.0 * min(frame, 120 - frame)
        numbers = tracker.update(seen(np.array([box(turned, width=70, height=175)])), frame * FRAME)
    assert numbers.tolist() == [1]


def test_many_short_steps_and_a_long_one_are_alike() -> None:
    short, long = Motions(), Motions()
    for motions in (short, long):
        motions.add(np.array([box(0)], np.float32))
        motions.predict(1 / 30)
        motions.correct([0], np.array([box(8)], np.float32))
    for _ in range(10):
        short.predict(1 / 30)
    long.predict(10 / 30)
    for motions in (short, long):
        motions.correct([0], np.array([box(120)], np.float32))
    np.testing.assert_allclose(short.boxes, long.boxes, rtol=1e-5)


def test_the_motion_of_each_box_is_its_own() -> None:
    random = np.random.default_rng(2)
    ways = np.cumsum(random.uniform(-9, 9, (12, 3, 4)), axis=0) + np.array([100, 100, 160, 260])
    together, alone = Motions(), [Motions() for _ in range(3)]
    for motions, rows in ((together, [0, 1, 2]), *((each, [row]) for row, each in enumerate(alone))):
        motions.add(ways[0, rows].astype(np.float32))
        for boxes in ways[1:]:
            motions.predict(1 / 30)
            motions.correct(range(len(rows)), boxes[rows].astype(np.float32))
    np.testing.assert_array_equal(together.boxes, np.concatenate([each.boxes for each in alone]))
    together.keep([0, 2])
    np.testing.assert_array_equal(together.boxes, np.concatenate([alone[0].boxes, alone[2].boxes]))


def test_a_weak_detection_goes_on_with_a_track_and_begins_none() -> None:
    tracker = ByteTrack()
    tracker.update(seen(np.array([box(0)])), 0)
    assert tracker.update(seen(np.array([box(1), box(400)]), (0.2, 0.2)), FRAME).tolist() == [1, -1]
    assert tracker.update(seen(np.array([box(2), box(400)]), (0.9, 0.2)), 2 * FRAME).tolist() == [1, -1]


def test_a_detection_that_comes_once_gets_no_number() -> None:
    tracker = ByteTrack()
    tracker.update(seen(np.array([box(0)])), 0)
    assert tracker.update(seen(np.array([box(0), box(500)])), FRAME).tolist() == [1, -1]
    assert tracker.update(seen(np.array([box(0)])), 2 * FRAME).tolist() == [1]
    assert tracker.update(seen(np.array([box(0), box(500)])), 3 * FRAME).tolist() == [1, -1]
    assert tracker.update(seen(np.array([box(0), box(500)])), 4 * FRAME).tolist() == [1, 2]


def test_another_class_never_joins_a_track() -> None:
    tracker = ByteTrack()
    tracker.update(seen(np.array([box(0)])), 0)
    assert tracker.update(seen(np.array([box(0)]), classes=1), FRAME).tolist() == [-1]


def test_persons_who_cross_keep_their_numbers_by_their_key_points() -> None:
    tracker = ByteTrack()
    shape = np.random.default_rng(2).uniform(0, 1, (2, 17, 2))  # two postures
    for frame in range(80):
        left, right = 5.0 * frame, 400 - 5.0 * frame
        boxes = np.array([box(left), box(right)], np.float32)
        keypoints = np.full((2, 17, 3), 0.9, np.float32)
        keypoints[..., :2] = boxes[:, None, :2] + shape * (boxes[:, 2:] - boxes[:, :2])[:, None]
        detections = Detections(boxes, np.array([0.9, 0.9], np.float32), np.zeros(2, np.int64), keypoints=keypoints)
        numbers = tracker.update(detections, frame * FRAME)
    assert numbers.tolist() == [1, 2]


def test_no_detections_are_no_numbers() -> None:
    assert ByteTrack().update(seen(np.zeros((0, 4), np.float32)), 0).shape == (0,)


def test_thresholds_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="strong"):
        ByteTrack(strong=0.7, begin=0.5)
