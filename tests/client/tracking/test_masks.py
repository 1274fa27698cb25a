"""Masks: the layouts that have them, their way to the frame, and the forms of other packages."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PillowImage
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from stream_client.frames import Detections, Masks, Tensor
from stream_client.processing.detections import draw_detections
from stream_client.tracking import DetectionOptions, DetectionReader, full_masks, to_coco
from stream_client.tracking.layouts import arrays_of, find_layout
from stream_client.tracking.masks import MOST_SIDE
from stream_client.tracking.options import LayoutName

SIDE = 128
"""Of the model's input, a square, and of the frame."""
CELL = 4
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]
FIRST: Box = (16, 8, 64, 40)
SECOND: Box = (80, 60, 120, 124)


def tensors(**given: npt.NDArray[Any]) -> dict[str, Tensor]:
    return {name: Tensor(name, "FP32", array.astype(np.float32)) for name, array in given.items()}


def ellipse(box: Box) -> Bools:
    """Which pixels of the input are of something round in a box."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    left, top, right, bottom = box
    across, along = (2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top)
    return np.asarray(across**2 + along**2 <= 1)


def yolo(*boxes: Box, transposed: bool, planes: int = 32) -> dict[str, Tensor]:
    """v8-seg's tensors, or v5-seg's: a prototype is one ellipse, and its weight is 1."""
    rows = 100 if transposed else 252
    table = np.zeros((rows, (4 if transposed else 5) + 2 + planes), np.float32)
    prototypes = np.full((1, planes, SIDE // CELL, SIDE // CELL), -8, np.float32)
    for index, (left, top, right, bottom) in enumerate(boxes):
        table[index, :4] = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        table[index, -planes - 2 + index % 2] = 0.9 - index / 10
        table[index, -planes + index] = 1
        cells = ellipse((left, top, right, bottom)).reshape(SIDE // CELL, CELL, SIDE // CELL, CELL).mean((1, 3))
        prototypes[0, index] = 16 * cells - 8
    if not transposed:
        table[:, 4] = 1
    return tensors(output0=table.T[None] if transposed else table[None], output1=prototypes)


def mask_rcnn(*boxes: Box, batch: bool, side: int = 28) -> dict[str, Tensor]:
    table = np.zeros((20, 5), np.float32)
    masks = np.zeros((20, side, side), np.float32)
    for index, (left, top, right, bottom) in enumerate(boxes):
        table[index] = [left, top, right, bottom, 0.9 - index / 10]
        part = PillowImage.fromarray(ellipse((left, top, right, bottom))[top:bottom, left:right].astype(np.float32))
        masks[index] = np.asarray(part.resize((side, side), PillowImage.Resampling.BOX))
    given: dict[str, npt.NDArray[Any]] = {"boxes": table, "labels": np.arange(20) % 2, "masks": masks}
    return tensors(**{name: array[None] if batch else array for name, array in given.items()})


LAYOUTS: dict[str, tuple[dict[str, Tensor], LayoutName]] = {
    "v8-seg": (yolo(FIRST, SECOND, transposed=True), "yolov8"),
    "v5-seg": (yolo(FIRST, SECOND, transposed=False), "yolov5"),
    "mask-rcnn": (mask_rcnn(FIRST, SECOND, batch=False), "boxes"),
    "mask-rcnn, batch": (mask_rcnn(FIRST, SECOND, batch=True), "boxes"),
}


def alike(first: Bools, second: Bools) -> float:
    return float((first & second).sum() / (first | second).sum())


def found_masks(found: Detections) -> Bools:
    masks = full_masks(found)
    assert masks is not None
    return masks


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_is_found_and_its_masks_lie_where_the_things_are(name: str) -> None:
    outputs, layout = LAYOUTS[name]
    assert find_layout(arrays_of(outputs)) == layout
    found = DetectionReader().read(outputs, (SIDE, SIDE), (SIDE, SIDE), 0)
    np.testing.assert_allclose(found.boxes, [FIRST, SECOND], atol=0.01)
    assert found.class_ids.tolist() == [0, 1]
    for mask, box in zip(found_masks(found), (FIRST, SECOND), strict=True):
        assert alike(mask, ellipse(box)) > 0.9


@pytest.mark.parametrize("name", LAYOUTS)
def test_masks_follow_the_letterbox_back_to_the_frame(name: str) -> None:
    # 256x128 on 128x128: half the size, 32 pixels of gray above.
    outputs, _ = LAYOUTS[name]
    reader = DetectionReader()
    reader.fit(np.zeros((128, 256, 3), np.uint8), SIDE, SIDE)
    found = reader.read(outputs, (SIDE, SIDE), (256, 128), 0)
    masks = found_masks(found)
    assert masks.shape == (2, 128, 256)
    for mask, box in zip(masks, (FIRST, SECOND), strict=True):
        large = PillowImage.fromarray(ellipse(box)).resize((256, 256), PillowImage.Resampling.NEAREST)
        assert alike(mask, np.asarray(large)[64:192]) > 0.85


@pytest.mark.parametrize("name", LAYOUTS)
def test_only_what_remains_has_a_mask(name: str) -> None:
    outputs, _ = LAYOUTS[name]
    for options in (DetectionOptions(confidence=0.85), DetectionOptions(max_detections=1)):
        found = DetectionReader(options).read(outputs, (SIDE, SIDE), (SIDE, SIDE), 0)
        assert found.masks is not None
        assert len(found) == len(found.masks.shapes) == 1
    nothing = DetectionReader(DetectionOptions(confidence=1)).read(outputs, (SIDE, SIDE), (SIDE, SIDE), 0)
    assert found_masks(nothing).shape == (0, SIDE, SIDE)


def test_of_two_boxes_of_one_thing_the_stronger_ones_mask_remains() -> None:
    shifted = (FIRST[0] + 2, FIRST[1] + 2, FIRST[2] + 2, FIRST[3] + 2)
    found = DetectionReader(DetectionOptions(class_agnostic_nms=True)).read(
        yolo(FIRST, shifted, SECOND, transposed=True), (SIDE, SIDE), (SIDE, SIDE), 0
    )
    np.testing.assert_allclose(found.boxes, [FIRST, SECOND], atol=0.01)
    assert [alike(mask, ellipse(box)) > 0.9 for mask, box in zip(found_masks(found), (FIRST, SECOND), strict=True)]


@pytest.mark.parametrize("name", ["pred_masks", "a_masks"])
def test_masks_beside_detrs_boxes_are_not_taken_for_scores(name: str) -> None:
    logits = np.full((1, 9, 3), -9, np.float32)
    logits[0, :, 2], logits[0, 0, 1] = 9, 12
    centers = np.tile(np.array([0.5, 0.5, 0.2, 0.4], np.float32), (1, 9, 1))
    arrays_: dict[str, npt.NDArray[Any]] = {
        name: np.zeros((1, 9, 30, 30)), "logits": logits, "pred_boxes": centers
    }  # fmt: skip
    outputs = tensors(**dict(sorted(arrays_.items())))
    found = DetectionReader().read(outputs, (SIDE, SIDE), (SIDE, SIDE), 0)
    assert (found.class_ids.tolist(), found.masks) == ([1], None)


@settings(deadline=None, max_examples=40)
@given(
    box=st.tuples(*[st.floats(-2 * SIDE, 3 * SIDE, width=32)] * 4),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 400)),
    frame=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_a_server_gives_masks_are_bounded_and_inside_of_their_boxes(
    box: tuple[float, float, float, float], cells: tuple[int, int], frame: tuple[int, int], seed: int
) -> None:
    odd = np.array([0, 1, 0.5, -3, 9, np.nan, np.inf, -np.inf, 1e38], np.float32)
    planes = np.random.default_rng(seed).choice(odd, (2, *cells))
    reader = DetectionReader(DetectionOptions(detections="boxes"))
    reader.fit(np.zeros((frame[1], frame[0], 3), np.uint8), SIDE, SIDE)
    table = np.tile(np.array([*box, 0.9], np.float32), (len(planes), 1))
    given_ = tensors(boxes=table, labels=np.arange(len(planes)), masks=planes)
    found = reader.read(given_, (SIDE, SIDE), frame, 0)
    masks = found_masks(found)
    assert masks.shape == (len(found), frame[1], frame[0])
    assert found.masks is not None
    for shape, mask, (left, top, right, bottom) in zip(found.masks.shapes, masks, found.boxes, strict=True):
        assert max(shape.shape) <= MOST_SIDE
        rows, columns = np.nonzero(mask)
        if len(rows):
            assert left - 1 <= columns.min() <= columns.max() <= right + 1
            assert top - 1 <= rows.min() <= rows.max() <= bottom + 1


@settings(deadline=None, max_examples=40)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 70))))
def test_cocos_own_reader_reads_every_mask(mask: Bools) -> None:
    height, width = mask.shape
    # A box of the whole frame, so that each cell is a pixel.
    shapes = Masks(((255 * mask).astype(np.uint8),), (width, height))
    whole = Detections(
        np.array([[0, 0, width, height]], np.float32), np.array([0.5], np.float32), np.zeros(1, np.int64), masks=shapes
    )
    np.testing.assert_array_equal(found_masks(whole)[0], mask)
    (row,) = to_coco(whole, 1)
    assert (
        row["segmentation"]["counts"] == coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_results_with_masks_load_into_a_data_set_of_coco() -> None:
    outputs, _ = LAYOUTS["v8-seg"]
    found = DetectionReader().read(outputs, (SIDE, SIDE), (SIDE, SIDE), 0)
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 7, "width": SIDE, "height": SIDE}],
        "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
        "annotations": [],
    }
    truth.createIndex()
    results = truth.loadRes(to_coco(found, 7))
    for number, mask in zip(results.getAnnIds(imgIds=[7]), found_masks(found), strict=True):
        np.testing.assert_array_equal(results.annToMask(results.anns[number]).astype(bool), mask)


def test_a_mask_is_drawn_on_its_pixels_only() -> None:
    outputs, _ = LAYOUTS["v8-seg"]
    found = DetectionReader(DetectionOptions(max_detections=1)).read(outputs, (SIDE, SIDE), (SIDE, SIDE), 0)
    gray = np.full((SIDE, SIDE, 3), 114, np.uint8)
    drawn = draw_detections(gray, found)
    assert (drawn[24, 40] != 114).all()  # the middle of the ellipse
    assert (drawn[37, 20] == 114).all()  # a corner of its box
    assert (drawn[100, 100] == 114).all()
