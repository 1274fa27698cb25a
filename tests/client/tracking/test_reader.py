"""Thresholds, suppression, and the way back to the frame."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_client.frames import Detections, Tensor
from stream_client.tracking import DetectionOptions, DetectionReader, to_coco
from stream_client.tracking.candidates import overlaps, suppress
from stream_client.tracking.options import Fit
from stream_client.tracking.reader import open_tracker


def yolov10(*rows: tuple[float, ...]) -> dict[str, Tensor]:
    table = np.zeros((1, 20, 6), np.float32)
    table[0, : len(rows)] = rows
    return {"output0": Tensor("output0", "FP32", table)}


def yolov5(*rows: tuple[float, ...]) -> dict[str, Tensor]:
    """Boxes of left, top, right, bottom, with a score and one of two classes."""
    table = np.zeros((1, 50, 7), np.float32)
    for index, (left, top, right, bottom, score, number) in enumerate(rows):
        table[0, index, :5] = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 1]
        table[0, index, 5 + int(number)] = score
    return {"output": Tensor("output", "FP32", table)}


def test_a_box_on_the_letterbox_comes_back_to_its_place_on_the_frame() -> None:
    # 1280x720 on 640x640: half the size, 140 pixels of gray above.
    reader = DetectionReader()
    reader.fit(np.zeros((720, 1280, 3), np.uint8), 640, 640)
    found = reader.read(yolov10((100, 190, 200, 290, 0.9, 0)), (640, 640), (1280, 720), 0)
    np.testing.assert_allclose(found.boxes, [[200, 100, 400, 300]])


def test_a_box_on_a_stretched_frame_comes_back_to_its_place() -> None:
    reader = DetectionReader(DetectionOptions(fit="stretch"))
    reader.fit(np.zeros((720, 1280, 3), np.uint8), 640, 640)
    found = reader.read(yolov10((100, 160, 200, 320, 0.9, 0)), (640, 640), (1280, 720), 0)
    np.testing.assert_allclose(found.boxes, [[200, 180, 400, 360]])


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_a_frame_that_a_graph_got_shrunk_and_with_columns_on_its_right_keeps_its_places(fit: Fit) -> None:
    # 884x500, sent as 442x250 with six more columns for OVMS's rows of 16 pixels.
    reader = DetectionReader(DetectionOptions(fit=fit))
    found = reader.read(yolov10((10, 20, 30, 40, 0.9, 0)), (448, 250), (884, 500), 0)
    np.testing.assert_allclose(found.boxes, [[20, 40, 60, 80]])


@given(width=st.integers(40, 300), height=st.integers(40, 300), model=st.sampled_from([(64, 64), (96, 64), (64, 160)]))
def test_a_marked_pixel_is_found_where_it_was(width: int, height: int, model: tuple[int, int]) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    x, y = width // 3, height // 3
    side = max(12, min(width, height) // 2)  # more than a pixel of the small image
    image[y : y + side, x : x + side] = 255
    reader = DetectionReader()
    fitted = reader.fit(image, *model)
    assert fitted.shape == (model[1], model[0], 3)
    rows, columns = np.nonzero(fitted[..., 0] > 180)
    row = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9, 0)
    (box,) = reader.read(yolov10(tuple(float(value) for value in row)), model, (width, height), 0).boxes
    scale = max(width / model[0], height / model[1])
    np.testing.assert_allclose(box, [x, y, x + side, y + side], atol=2.5 * scale)


def test_the_weaker_of_two_boxes_of_a_class_goes() -> None:
    rows = [(0, 0, 100, 100, 0.9, 0), (5, 5, 105, 105, 0.8, 0), (4, 4, 104, 104, 0.7, 1), (300, 300, 400, 400, 0.6, 0)]
    reader = DetectionReader()
    assert reader.read(yolov5(*rows), (640, 640), (640, 640), 0).scores.tolist() == pytest.approx([0.9, 0.7, 0.6])
    reader.options = replace(reader.options, class_agnostic_nms=True)
    assert reader.read(yolov5(*rows), (640, 640), (640, 640), 0).scores.tolist() == pytest.approx([0.9, 0.6])
    reader.options = replace(reader.options, confidence=0.65)
    assert reader.read(yolov5(*rows), (640, 640), (640, 640), 0).scores.tolist() == pytest.approx([0.9])
    reader.options = DetectionOptions(iou_threshold=1, max_detections=3)
    assert len(reader.read(yolov5(*rows), (640, 640), (640, 640), 0)) == 3
    reader.options = DetectionOptions(iou_threshold=1, max_candidates=2)
    assert len(reader.read(yolov5(*rows), (640, 640), (640, 640), 0)) == 2


def test_scores_and_boxes_that_are_no_numbers_are_no_detections() -> None:
    nan, infinite = float("nan"), float("inf")
    rows = [(0, 0, 10, 10, nan, 0), (nan, 0, 10, 10, 0.9, 0), (0, 0, infinite, 10, 0.9, 0), (0, 0, 10, 10, 0.5, 0)]
    found = DetectionReader().read(yolov10(*rows), (640, 640), (640, 640), 0)
    assert found.scores.tolist() == [0.5]


def test_tracks_begin_with_weak_detections_where_those_are_asked_for() -> None:
    weak = Detections(np.array([[0, 0, 10, 20]], np.float32), np.array([0.42], np.float32), np.zeros(1, np.int64))
    for confidence, number in ((0.2, 1), (0.4, -1)):
        tracker = open_tracker(DetectionOptions(confidence=confidence, tracker="bytetrack"))
        assert tracker is not None
        assert tracker.update(weak, 0).tolist() == [number]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4, st.floats(0, 1)), max_size=15), st.floats(0.1, 0.9))
def test_no_two_survivors_overlap_and_each_victim_has_a_stronger_rival(
    rows: list[tuple[int, int, int, int, float]], threshold: float
) -> None:
    table = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[4] for row in rows], np.float32)
    kept = suppress(table, scores, threshold, None)
    alike = overlaps(table, table)
    for index in range(len(rows)):
        rivals = [other for other in kept if other != index and alike[index, other] > threshold]
        assert (index in kept) == (not [other for other in rivals if scores[other] >= scores[index]])


def test_coco_has_left_top_width_and_height() -> None:
    found = DetectionReader().read(yolov10((10, 20, 40, 60, 0.5, 3)), (640, 640), (640, 640), 0)
    assert to_coco(found, 7) == [{"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "score": 0.5}]


def test_a_box_that_leaves_the_frame_ends_at_its_border() -> None:
    found = DetectionReader().read(yolov10((-50, -50, 900, 900, 0.5, 3)), (640, 640), (640, 640), 0)
    np.testing.assert_array_equal(found.boxes, [[0, 0, 640, 640]])


def points(values: list[list[float]]) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [([0, 0, 10, 10], [0, 0, 10, 10], 1), ([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3), ([0, 0, 0, 0], [0, 0, 0, 0], 0)],
)
def test_overlap_is_intersection_over_union(first: list[float], second: list[float], share: float) -> None:
    assert overlaps(points([first]), points([second]))[0, 0] == pytest.approx(share)
