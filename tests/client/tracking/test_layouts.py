"""The layouts of detectors' tensors, each with two things at known places."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from kserve_wire.anchors import SsdAnchorOptions, ssd_anchors
from stream_client.errors import ConfigurationError
from stream_client.frames import Tensor
from stream_client.tracking import DetectionOptions, DetectionReader
from stream_client.tracking.layouts import arrays_of, find_layout
from stream_client.tracking.options import LayoutName

SIZE = (640, 480)
"""Of the model's input and of the frame."""
BOXES = np.array([[64.0, 48.0, 192.0, 240.0], [320.0, 96.0, 480.0, 432.0]], np.float32)
CENTERS = np.concatenate([(BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]], axis=1)
SIDES = np.array([640, 480, 640, 480], np.float32)
SCORES, CLASSES = np.array([0.9, 0.75], np.float32), np.array([2, 1])
KEYPOINTS = np.random.default_rng(5).uniform(50, 400, (2, 17, 3)).astype(np.float32)
KEYPOINTS[..., 2] = 0.8
BY_CLASS = np.full((2, 4), 0.02, np.float32)
BY_CLASS[[0, 1], CLASSES] = SCORES
Arrays = dict[str, npt.NDArray[np.float32]]


def padded(table: npt.NDArray[np.floating], rows: int = 100) -> npt.NDArray[np.float32]:
    """With further rows of nothing, [1, rows, columns]."""
    return np.concatenate([table, np.zeros((rows - len(table), table.shape[1]))])[None].astype(np.float32)


def ssd() -> Arrays:
    rows = np.concatenate([np.zeros((2, 1)), CLASSES[:, None], SCORES[:, None], BOXES / SIDES], axis=1)
    end = np.array([[-1, 3, 0.99, 0, 0, 1, 1]])
    return {"detection_out": np.concatenate([rows, end])[None, None].astype(np.float32)}


def boxes() -> Arrays:
    table = np.concatenate([BOXES, SCORES[:, None]], axis=1)
    return {"boxes": table, "labels": CLASSES.astype(np.float32)}


def scores() -> Arrays:
    return {"boxes": padded(BOXES / SIDES), "scores": padded(BY_CLASS)}


def anchors() -> Arrays:
    anchors = ssd_anchors(SsdAnchorOptions(320, 320))
    targets = np.tile(CENTERS[:1] / SIDES, (len(anchors), 1))
    targets[::2] = CENTERS[1] / SIDES
    places = (targets[:, :2] - anchors[:, :2]) / anchors[:, 2:] * 10
    sides = np.log(targets[:, 2:] / anchors[:, 2:]) * 5
    logits = np.full((len(anchors), 4), -9, np.float32)
    logits[:, 0] = 9
    logits[[1001, 200]] = np.log(BY_CLASS / (1 - BY_CLASS))
    encodings = np.concatenate([places[:, ::-1], sides[:, ::-1]], axis=1).astype(np.float32)
    return {"raw_outputs/box_encodings": encodings[None], "raw_outputs/class_predictions": logits[None]}


def detr() -> Arrays:
    chances = np.concatenate([BY_CLASS, 1 - BY_CLASS.sum(axis=1, keepdims=True)], axis=1)
    nothing = np.full((98, 5), -9.0, np.float32)
    nothing[:, 4] = 9
    logits = np.concatenate([np.log(np.maximum(chances, 1e-6)), nothing])[None].astype(np.float32)
    return {"pred_boxes": padded(CENTERS / SIDES), "logits": logits}


def yolov5() -> Arrays:
    return {"output": padded(np.concatenate([CENTERS, np.ones((2, 1), np.float32), BY_CLASS], axis=1))}


def yolov8() -> Arrays:
    return {"output0": padded(np.concatenate([CENTERS, BY_CLASS], axis=1)).transpose(0, 2, 1)}


def yolov8_pose() -> Arrays:
    table = np.concatenate([CENTERS, SCORES[:, None], KEYPOINTS.reshape(2, -1)], axis=1)
    return {"output0": padded(table).transpose(0, 2, 1)}


def yolov10() -> Arrays:
    return {"output0": padded(np.concatenate([BOXES, SCORES[:, None], CLASSES[:, None]], axis=1).astype(np.float32))}


def rtmo() -> Arrays:
    return {"dets": np.concatenate([BOXES, SCORES[:, None]], axis=1)[None], "keypoints": KEYPOINTS[None]}


def movenet() -> Arrays:
    points = KEYPOINTS / np.array([640, 480, 1], np.float32)
    table = np.concatenate(
        [points[:, :, [1, 0, 2]].reshape(2, -1), (BOXES / SIDES)[:, [1, 0, 3, 2]], SCORES[:, None]], 1
    )
    return {"output_0": padded(table, 6)}


LAYOUTS: dict[Callable[[], Arrays], LayoutName] = {
    ssd: "ssd",
    boxes: "boxes",
    scores: "scores",
    anchors: "anchors",
    detr: "detr",
    yolov5: "yolov5",
    yolov8: "yolov8",
    yolov8_pose: "yolov8",
    yolov10: "yolov10",
    rtmo: "rtmo",
    movenet: "movenet",
}


def tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: Tensor(name, "FP32", array) for name, array in arrays.items()}


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_the_layout_is_found_and_its_detections_are_read(make: Callable[[], Arrays]) -> None:
    arrays = make()
    assert find_layout(arrays_of(tensors(arrays))) == LAYOUTS[make]
    found = DetectionReader().read(tensors(arrays), SIZE, SIZE, 0)
    np.testing.assert_allclose(found.boxes, BOXES, atol=0.01)
    np.testing.assert_allclose(found.scores, SCORES, atol=0.01)
    people = "keypoints" in arrays or make in (yolov8_pose, movenet)
    assert found.class_ids.tolist() == ([0, 0] if people else [2, 1])
    if people:
        assert found.keypoints is not None
        np.testing.assert_allclose(found.keypoints, KEYPOINTS, atol=0.01)
    assert found.name(0) == ("person" if people else "2")


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_nothing_found_is_no_detection(make: Callable[[], Arrays]) -> None:
    found = DetectionReader(DetectionOptions(confidence=0.95)).read(tensors(make()), SIZE, SIZE, 0)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_a_named_layout_that_does_not_fit_is_one_clear_line() -> None:
    reader = DetectionReader(DetectionOptions(detections="ssd"))
    with pytest.raises(ConfigurationError, match=r"the outputs output0 \[1, 8, 100\] are not of the layout ssd"):
        reader.read(tensors(yolov8()), SIZE, SIZE, 0)


@pytest.mark.parametrize("arrays", [{}, {"scores": np.zeros((1, 4), np.float32)}])
def test_outputs_without_a_known_layout_are_named(arrays: Arrays) -> None:
    with pytest.raises(ConfigurationError, match="no layout of detections is known"):
        DetectionReader().read(tensors(arrays), SIZE, SIZE, 0)


def test_known_names_separate_classes_from_key_points() -> None:
    rows = np.concatenate([CENTERS, BY_CLASS, KEYPOINTS[:, :5].reshape(2, -1)], axis=1)
    found = DetectionReader(class_names=("a", "b", "c", "d")).read(
        tensors({"output0": padded(rows).transpose(0, 2, 1)}), SIZE, SIZE, 0
    )
    assert [found.name(index) for index in range(2)] == ["c", "b"]
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints, KEYPOINTS[:, :5], atol=0.01)
