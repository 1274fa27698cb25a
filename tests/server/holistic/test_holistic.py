"""Holistic inference: its pure functions, and the trackers of hands."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_server.assets import ensure_clip
from graph_server.cli.landmarks import LandmarkExtractor, default_models, frames
from graph_server.holistic.crops import Padding, crop, padded, projected, unpadded
from graph_server.holistic.frame_skipping import ABSENCE_RUNS, EVERY_FRAME, Absence, FrameSkipping, Schedule
from graph_server.holistic.hands import LEFT, RIGHT, Hand, HandTracker
from graph_server.holistic.pose import refined
from graph_server.holistic.regions import (
    HAND_TRACKING,
    Region,
    may_keep,
    normalize_radians,
    region_from_alignment_points,
)
from graph_server.holistic.smoothing import LowPassFilter
from graph_server.holistic.ssd import FACE_DETECTOR, POSE_DETECTOR, Detector, anchor_centers
from graph_server.models.repository import ModelRepository
from kserve_wire.pictures.drawing import Strokes, canvas_for, draw, holistic_strokes

SIZE = (640, 480)
Indices = npt.NDArray[np.int64]


def test_detectors_have_one_anchor_for_each_box_of_the_model() -> None:
    assert anchor_centers(POSE_DETECTOR.side, POSE_DETECTOR.strides).shape == (2254, 2)
    assert anchor_centers(FACE_DETECTOR.side, FACE_DETECTOR.strides).shape == (896, 2)


def test_overlapping_detections_are_averaged_by_score_without_distant_ones() -> None:
    boxes = np.zeros((896, 16), np.float32)
    scores = np.full(896, -50.0, np.float32)
    boxes[:, 2:4] = 64
    # Neighbouring anchors of the first layer, and a distant one.
    scores[0], scores[1], scores[510] = 2.0, 2.0, 1.0
    boxes[1, 4:] = 12.8
    points = Detector(FACE_DETECTOR).best(boxes, scores)
    assert points is not None
    assert points == pytest.approx(np.full((6, 2), 0.5 / 16 + 0.05), abs=1e-6)
    assert Detector(FACE_DETECTOR).best(boxes, np.full(896, -1.0, np.float32)) is None


@given(st.floats(-100, 100))
def test_angles_are_normalised_to_half_a_turn(angle: float) -> None:
    turned = normalize_radians(angle)
    assert -np.pi - 1e-9 <= turned <= np.pi + 1e-9
    assert np.cos(turned) == pytest.approx(np.cos(angle), abs=1e-6)


@settings(deadline=None)
@given(
    st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(0.05, 0.4), st.floats(-3, 3), st.floats(0, 1), st.floats(0, 1)
)
def test_a_crop_shows_its_region_and_landmarks_are_projected_back(
    x: float, y: float, width: float, rotation: float, u: float, v: float
) -> None:
    region = Region(x, y, width, width * SIZE[0] / SIZE[1], rotation)
    point = projected(np.array([[u, v, 0.5, 0, 0]], np.float32), region)[0]
    image = np.zeros((480, 640, 3), np.uint8)
    columns, rows = np.meshgrid(np.arange(640), np.arange(480))
    image[..., 0], image[..., 1] = columns * 255 // 640, rows * 255 // 480
    out = np.zeros((101, 101, 3), np.uint8)
    crop(image, region, out)
    seen = out[min(100, int(v * 101)), min(100, int(u * 101)), :2].astype(int)
    expected = np.clip([point[0] * 255, point[1] * 255], 0, 254)
    assert np.abs(seen - expected).max() <= 4
    assert point[2] == pytest.approx(0.5 * width, rel=1e-5)


def test_a_crop_samples_at_the_positions_of_opencv_3() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    region = Region(0.4, 0.55, 0.31, 0.37, 0.7)
    out = np.zeros((64, 64, 3), np.uint8)
    crop(image, region, out)
    # Positions are rounded to 1/32 pixel, weights have 15 bits.
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    columns, rows = np.meshgrid(np.arange(64), np.arange(64))
    steps = (np.stack([columns, rows], axis=-1) / 64 - 0.5) * [0.31 * 640, 0.37 * 480]
    positions = np.rint((steps @ turn.T + [0.4 * 640, 0.55 * 480]) * 32).astype(int)
    (x, y), (u, v) = (positions >> 5).transpose(2, 0, 1), (positions & 31).transpose(2, 0, 1)[..., None]

    def at(row: Indices, column: Indices) -> Indices:
        sampled: Indices = image[row.clip(0, 479), column.clip(0, 639)].astype(int)
        return sampled

    top = at(y, x) * (32 - u) + at(y, x + 1) * u
    bottom = at(y + 1, x) * (32 - u) + at(y + 1, x + 1) * u
    expected = ((top * (32 - v) + bottom * v) * 32 + (1 << 14)) >> 15
    assert (out != expected).mean() < 1e-3


def test_letterboxes_are_added_and_removed() -> None:
    region, padding = padded(Region(0.5, 0.5, 1, 1), SIZE, (224, 224))
    assert region.height * 480 == pytest.approx(640)
    assert padding == Padding(top=0.125, bottom=0.125)
    inside = unpadded(np.array([[0.0, 0.125, 0.2, 0, 0], [1.0, 0.875, 0.2, 0, 0]], np.float32), padding)
    assert inside[:, 1].tolist() == pytest.approx([0.0, 1.0])


def test_alignment_points_give_a_region_its_centre_size_and_rotation() -> None:
    region = region_from_alignment_points((0.5, 0.5), (0.5, 0.25), SIZE, target_degrees=90)
    assert (region.width * 640, region.height * 480) == pytest.approx((240, 240))
    assert region.rotation == pytest.approx(0)
    lying = region_from_alignment_points((0.5, 0.5), (0.7, 0.5), SIZE, target_degrees=90)
    assert lying.rotation == pytest.approx(np.pi / 2)
    moved = lying.transformed(SIZE, scale=2.0, shift_y=-0.5)
    assert moved.x_center > lying.x_center
    assert moved.width == pytest.approx(2 * lying.width)


def test_a_hand_is_tracked_until_it_rotates_moves_grows_or_leaves() -> None:
    now = Region(0.5, 0.5, 0.2, 0.2 * 640 / 480)
    inside = np.full((21, 5), 0.5, np.float32)
    outside = inside.copy()
    outside[3, 0] = 0.9
    turned = Region(0.5, 0.5, now.width, now.height, 0.8)
    moved = Region(0.56, 0.5, now.width, now.height)
    grown = Region(0.5, 0.5, now.width * 1.5, now.height)
    assert may_keep(now, inside, now, SIZE, HAND_TRACKING)
    assert not may_keep(now, outside, now, SIZE, HAND_TRACKING)
    for previous in (turned, moved, grown):
        assert not may_keep(previous, inside, now, SIZE, HAND_TRACKING)


def test_only_confident_heat_maps_move_landmarks() -> None:
    landmarks = np.zeros((2, 5), np.float32)
    landmarks[:, :2] = 0.5
    heatmap = np.full((1, 64, 64, 2), -20.0, np.float32)
    heatmap[0, 30, 33, 0] = 5.0
    result = refined(landmarks, heatmap)
    assert result[0, :2].tolist() == pytest.approx([33 / 64, 30 / 64], abs=1e-4)
    assert result[1, :2].tolist() == [0.5, 0.5]


def test_visibility_takes_new_values_with_a_fixed_weight() -> None:
    low = LowPassFilter(0.1)
    assert low.apply(np.zeros(1, np.float32))[0] == 0
    assert low.apply(np.ones(1, np.float32))[0] == pytest.approx(0.1)


def test_a_lost_part_is_detected_at_once_and_then_in_every_nth_frame() -> None:
    schedule = Schedule(FrameSkipping(confirm=3, search=2))
    seen = [False, False, False, True, True, True, True, False, False]
    assert [schedule.due(followed=followed) for followed in seen] == [
        *(True, False, True),
        *(False, False, True, False),
        *(True, False),
    ]
    every = Schedule(EVERY_FRAME)
    assert all(every.due(followed=followed) for followed in seen)


def test_the_detection_of_a_trusted_part_is_skipped_until_it_is_lost() -> None:
    schedule = Schedule(EVERY_FRAME)
    assert schedule.due(followed=True)
    schedule.skip(2)
    assert [schedule.due(followed=True) for _ in range(3)] == [False, False, True]
    schedule.skip(2)
    assert [schedule.due(followed=followed) for followed in (True, False, False)] == [False, True, True]


def test_frames_are_skipped_only_for_a_part_that_was_clearly_absent_for_long() -> None:
    absence = Absence(ABSENCE_RUNS)
    assert [absence.skip_after(0.005) for _ in range(ABSENCE_RUNS)] == [0] * (ABSENCE_RUNS - 1) + [2]
    assert absence.skip_after(0.05) == 1
    assert absence.skip_after(0.3) == 0
    assert [absence.skip_after(0.005) for _ in range(ABSENCE_RUNS)][-2:] == [0, 2]
    absence.forget()
    assert absence.skip_after(0.005) == 0


SeenHand = tuple[ModelRepository, npt.NDArray[np.uint8], npt.NDArray[np.float32], Hand]


@pytest.fixture
def seen_hand(models_dir: Path) -> SeenHand:
    """The models, a frame, the pose in it and a hand that is visible."""
    models = default_models(models_dir)
    extractor = LandmarkExtractor(models)
    image = next(islice(frames(ensure_clip()), 180, None))
    extractor.process(image, 0)
    found = extractor.finish()[0]
    return models, image, found["pose"], LEFT if "left_hand" in found else RIGHT


def test_a_hand_that_was_absent_for_long_is_found_at_most_two_frames_late(seen_hand: SeenHand) -> None:
    models, image, pose, hand = seen_hand
    tracker = HandTracker(hand, models.get("hand_recrop"), models.get("hand_landmark_full"))
    nothing = np.zeros_like(image)
    assert not any(tracker.process(nothing, pose) is not None for _ in range(ABSENCE_RUNS))
    late = [tracker.process(image, pose) is None for _ in range(4)]
    assert late in ([True, False, False, False], [True, True, False, False])
    # When the wrist becomes visible, the hand is detected at once.
    assert not any(tracker.process(nothing, pose) is not None for _ in range(ABSENCE_RUNS + 1))
    assert tracker.process(image, None) is None
    assert tracker.process(image, pose) is not None


def test_a_hand_moves_with_the_pose_in_a_skipped_frame(seen_hand: SeenHand) -> None:
    models, image, pose_there, hand = seen_hand
    poses = [pose_there.copy() for _ in range(3)]
    for pose, shift in zip(poses, (0.0, 0.01, 0.02), strict=True):
        pose[:, 0] += shift
    skipping = FrameSkipping(update=2, clear=0.5)
    tracker = HandTracker(hand, models.get("hand_recrop"), models.get("hand_landmark_full"), skipping)
    first, carried, seen = (tracker.process(image, pose) for pose in poses)
    assert first is not None
    assert carried is not None
    assert seen is not None
    np.testing.assert_allclose(carried, first + np.array([0.01, 0, 0, 0, 0], np.float32), atol=1e-6)
    # Only the pose and the carried landmarks moved, not the hand. The network finds the hand where it is.
    assert abs(seen - first)[:, 0].mean() < 0.005
    assert tracker.process(image, None) is None


def test_a_hand_that_is_not_clearly_there_is_looked_at_in_the_next_frame(
    seen_hand: SeenHand,
) -> None:
    models, image, pose, hand = seen_hand
    skipping = FrameSkipping(update=2, clear=1.1)
    tracker = HandTracker(hand, models.get("hand_recrop"), models.get("hand_landmark_full"), skipping)
    assert tracker.process(image, pose) is not None
    assert tracker.process(np.zeros_like(image), pose) is None  # carried, it would still be there


def test_where_hands_skip_frames_an_absent_part_is_skipped_sooner() -> None:
    schedule = Schedule(FrameSkipping(update=2))
    looks = []
    for _ in range(7):
        looks.append(schedule.due(followed=False))
        if looks[-1]:
            schedule.ran(0.005)
    assert looks == [True, True, False, False, True, False, False]


def test_drawing_does_not_change_the_image_and_pads_rows_like_mediapipe() -> None:
    image = np.zeros((48, 50, 3), np.uint8)
    pose = np.full((33, 5), 0.5, np.float32)
    drawn = canvas_for(image)
    draw(drawn, holistic_strokes((50, 48), pose, None, None, None, None))
    assert not image.any()
    assert drawn.any()
    assert drawn.strides == (160, 3, 1)


@pytest.mark.parametrize("radius", [1, 2, 7])
@pytest.mark.parametrize("channels", [3, 4])
def test_dots_equal_the_circles_of_opencv_also_at_the_edge_of_the_image(radius: int, channels: int) -> None:
    points = np.random.default_rng(0).integers(-10, 60, (40, 2)).astype(np.int32)
    drawn, circles = np.full((2, 48, 50, channels), 7, np.uint8)
    draw(drawn, [Strokes(points, (255, 138, 9), radius, (), tuple(range(40)))])
    for x, y in points.tolist():
        cv2.circle(circles, (x, y), radius, (255, 138, 9), cv2.FILLED)
    np.testing.assert_array_equal(drawn, circles)
