"""The shapes of detections: from a model's tensors, and onto the frame."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from stream_client.frames import Detections, Masks
from stream_client.tracking.candidates import MaskTensors

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the frame."""
MOST_SIDE = 160
"""Of a shape, in cells: as many as the prototypes of an input of 640 pixels have."""
_BILINEAR = PillowImage.Resampling.BILINEAR
_HALF = 127


def shape_within(masks: MaskTensors, index: int, covered: Box, part: Box) -> npt.NDArray[np.uint8]:
    """The shape of a detection over ``part`` of what its tensor covers, uint8 [h, w], 0…255, of at most 160 a side.

    ``covered`` and ``part`` are boxes in the same pixels. Where they have no area in common, nothing is in the shape.
    """
    left, top, right, bottom = covered
    height, width = masks.cells
    if not (right > left and bottom > top):
        return np.zeros((1, 1), np.uint8)
    x, y = width / (right - left), height / (bottom - top)
    x0, x1 = (min(max((edge - left) * x, 0.0), width) for edge in (part[0], part[2]))
    y0, y1 = (min(max((edge - top) * y, 0.0), height) for edge in (part[1], part[3]))
    if not (x1 > x0 and y1 > y0):
        return np.zeros((1, 1), np.uint8)
    columns, rows = _around(x0, x1, width), _around(y0, y1, height)
    with np.errstate(all="ignore"):
        plane = np.clip(np.nan_to_num(masks.plane(index, rows, columns)), 0, 1)
    image = PillowImage.fromarray(np.ascontiguousarray(plane, np.float32))
    place = (x0 - columns.start, y0 - rows.start, x1 - columns.start, y1 - rows.start)
    shares = np.asarray(image.resize((_bounded(x1 - x0), _bounded(y1 - y0)), _BILINEAR, box=place), np.float32)
    shape: npt.NDArray[np.uint8] = np.rint(255 * shares.clip(0, 1)).astype(np.uint8)
    return shape


def on_frame(masks: Masks, index: int, box: Box) -> tuple[int, int, npt.NDArray[np.bool_]]:
    """Left and top in pixels, and which pixels from there on are of the detection with this box, bool [h, w]."""
    width, height = masks.size
    left, top = min(round(box[0]), width - 1), min(round(box[1]), height - 1)
    size = (min(max(round(box[2]), left + 1), width) - left, min(max(round(box[3]), top + 1), height) - top)
    return left, top, np.asarray(PillowImage.fromarray(masks.shapes[index]).resize(size, _BILINEAR)) > _HALF


def full_masks(detections: Detections) -> npt.NDArray[np.bool_] | None:
    """Which pixels of the frame are of each detection, bool [n, height, width]; ``None`` where there are no masks."""
    if detections.masks is None:
        return None
    width, height = detections.masks.size
    found = np.zeros((len(detections), height, width), dtype=bool)
    for index, (left, top, right, bottom) in enumerate(detections.boxes.tolist()):
        x, y, mask = on_frame(detections.masks, index, (left, top, right, bottom))
        found[index, y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return found


def _around(low: float, high: float, limit: int) -> slice:
    """The cells that an interval touches, and one more on each side, for what is between two cells."""
    return slice(max(0, math.floor(low) - 1), min(limit, math.ceil(high) + 1))


def _bounded(cells: float) -> int:
    return min(MOST_SIDE, max(1, math.ceil(cells)))
