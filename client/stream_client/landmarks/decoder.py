"""Landmarks from the tensors that a graph of OVMS can give.

No calculator of OVMS makes tensors of landmarks, or of the region that a network looked at. So
graphs/holistic_landmarks gives the networks' own tensors, in pixels of their crops. A graph *can* give a crop of an
image. So each request also carries a small image of coordinates: the color of a pixel is its position. The graph crops
it at the same region. That crop shows the position of the region to a fraction of a pixel, and so the landmarks on the
frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stream_client.frames import FACE_POINTS, HAND_POINTS, POSE_POINTS, Image, Landmarks, Points, Tensor
from stream_client.landmarks.smoothing import PoseSmoother

POSE, LEFT_HAND, RIGHT_HAND, FACE = "pose", "left_hand", "right_hand", "face"
OUTPUTS = (POSE, LEFT_HAND, RIGHT_HAND, FACE)
"""The graph's outputs; it may have fewer."""

_GRID = 16
_POSE_WIDTH, _HAND_WIDTH, _FACE_WIDTH = 1081, 832, 2173
_POSE_SIDE, _HAND_SIDE, _FACE_SIDE = 256, 224, 192  # of the networks' inputs, in pixels
_HAND_DEPTH = 0.4  # modules/hand_landmark/hand_landmark_cpu.pbtxt, normalize_z
_LONGEST_SIDE, _ALIGNMENT = 256, 16
_TURN = np.array([[0.8, 0.2], [-0.2, 0.8]])
"""Red and green for x and y, 0…1. The axes are turned a little, so that no two pixels of a crop are equal and rounding
averages out.
"""
_SHIFT = np.array([0.0, 0.2])
_BACK = np.linalg.inv(_TURN)
_FEWEST = 8
_SMALLEST_EDGE = 1e-6
"""In pixels of the frame. A crop that is the same everywhere has no extent."""
_LARGEST = 1e6
"""Of any value in a row: far above pixels of a crop and logits, far below what float32 cannot hold after scaling."""

Array = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""


@lru_cache(maxsize=4)
def coordinate_image(width: int, height: int) -> Image:
    """The image to send with frames of that size: RGB, the same aspect, the longer side near 256 pixels.

    The width is a multiple of 16, since OVMS reads other rows wrongly. Blue marks the inside.
    """
    best_width, best_height = _small_size(width, height)
    x, y = np.meshgrid(np.linspace(0, 1, best_width), np.linspace(0, 1, best_height))
    red_green = np.stack([x, y], axis=-1) @ _TURN.T + _SHIFT
    image = np.full((best_height, best_width, 3), 255, np.uint8)
    image[..., :2] = np.round(255 * red_green)
    image.setflags(write=False)
    return image


def _small_size(width: int, height: int) -> Size:
    """The size up to 256 pixels a side with the aspect that is closest; the largest of equally close ones."""
    longest = _LONGEST_SIDE if width >= height else max(_ALIGNMENT, _LONGEST_SIDE * width // height)
    shortest = max(_ALIGNMENT, longest // 2 // _ALIGNMENT * _ALIGNMENT)

    def error(candidate: int) -> float:
        exact = candidate * height / width
        return abs(max(2, round(exact)) / exact - 1)

    widths = range(longest // _ALIGNMENT * _ALIGNMENT or _ALIGNMENT, shortest - 1, -_ALIGNMENT)
    best = min(widths, key=lambda candidate: round(error(candidate), 6))
    return best, max(2, round(best * height / width))


@dataclass(frozen=True, slots=True)
class Placement:
    """A crop on the frame: its top left ``corner`` and its upper ``edge``, both x + iy in pixels."""

    corner: complex
    edge: complex

    def __call__(self, points: Array) -> Array:
        """Points [n, 3] over the crop's side, as pixels of the frame. z has the same scale."""
        flat = self.corner + self.edge * (points[:, 0] + 1j * points[:, 1])
        return np.stack([flat.real, flat.imag, points[:, 2] * abs(self.edge)], axis=1)


def placement(crop: Array, size: Size) -> Placement | None:
    """The place of a crop of the coordinate image on a frame of ``size``. ``None`` where the crop shows too little.

    ``crop`` is [16, 16, 3]. A crop is only moved, turned and scaled. With positions as complex numbers this is one
    linear function. It is found by least squares over the pixels inside the image. Pixel indices are positions, as in
    MediaPipe's own crops (image_to_tensor_converter_opencv.cc).
    """
    inside = crop[..., 2] > 254.5
    if inside.sum() < _FEWEST:
        return None
    height, width = coordinate_image(*size).shape[:2]
    share = (crop[inside][:, :2] / 255 - _SHIFT) @ _BACK.T
    last = np.array([(width - 1) / width, (height - 1) / height])
    there = share * last * np.array(size) @ np.array([1, 1j])
    here = (np.arange(_GRID)[None, :] + 1j * np.arange(_GRID)[:, None])[inside] / _GRID
    middle = here.mean()
    spread = here - middle
    power = (spread.real**2 + spread.imag**2).sum()
    if power < 1e-3:
        return None
    edge = complex((spread.conj() * there).sum() / power)
    if abs(edge) < _SMALLEST_EDGE:
        return None
    return Placement(complex(there.mean() - edge * middle), edge)


def says_who_is_there(outputs: Mapping[str, Tensor], sent: Size) -> bool:
    """Whether the outputs say that nobody is seen, or where the person is. False where they are missing or broken."""
    row = _row(outputs, POSE, _POSE_WIDTH)
    if row is None:
        return False
    return not row[312] > 0.5 or placement(row[313:].reshape(_GRID, _GRID, 3), sent) is not None


class LandmarkDecoder:
    """Landmarks from a graph's outputs, smoothed as MediaPipe does. For the frames of one stream, in order."""

    def __init__(self) -> None:
        self._smoother = PoseSmoother()

    def decode(self, outputs: Mapping[str, Tensor], sent: Size, shown: Size, timestamp: int) -> Landmarks | None:
        """The landmarks of a frame. ``None`` where nobody is seen, or the graph gives none, or none that make sense.

        ``sent`` is the size of the image that was sent, perhaps smaller than the frame and padded on its right.
        Landmarks are relative to ``shown``, the size of the whole frame. ``timestamp`` is in µs.
        """
        row = _row(outputs, POSE, _POSE_WIDTH)
        if row is None:
            return None
        place = placement(row[313:].reshape(_GRID, _GRID, 3), sent) if row[312] > 0.5 else None
        if place is None:
            self._smoother.lost()
            return None
        table = row[:195].reshape(39, 5)
        logits = table[:POSE_POINTS, 3:]
        certainty = 1.0 / (1.0 + np.exp(-logits))
        points = place(table[:, :3] / _POSE_SIDE)
        # The region for the next frame: a circle around the hips through point 34.
        object_size = 2.0 * float(np.hypot(*(points[34, :2] - points[33, :2])))
        turn = place.edge / abs(place.edge)
        world = row[195:312].reshape(39, 3)[:POSE_POINTS]
        upright = (world[:, 0] + 1j * world[:, 1]) * turn
        turned = np.stack([upright.real, upright.imag, world[:, 2]], axis=1)
        smooth, visibility, smooth_world = self._smoother.apply(
            points[:POSE_POINTS], certainty[:, 0], turned, object_size, timestamp
        )
        unit = np.array([shown[0], shown[1], shown[0]]) * (sent[1] / shown[1])  # in pixels that were sent
        pose = np.column_stack([smooth / unit, visibility, certainty[:, 1]]).astype(np.float32)
        return Landmarks(
            pose=pose,
            pose_world=smooth_world.astype(np.float32),
            size=shown,
            left_hand=_part(outputs, LEFT_HAND, _HAND, sent, unit),
            right_hand=_part(outputs, RIGHT_HAND, _HAND, sent, unit),
            face=_part(outputs, FACE, _FACE, sent, unit),
        )


@dataclass(frozen=True, slots=True)
class _Layout:
    """A row of landmarks, presence and crop. ``present`` is the lower limit of presence."""

    points: int
    width: int
    side: int
    present: float
    depth: float = 1.0


_HAND = _Layout(HAND_POINTS, _HAND_WIDTH, _HAND_SIDE, present=0.5, depth=_HAND_DEPTH)
_FACE = _Layout(FACE_POINTS, _FACE_WIDTH, _FACE_SIDE, present=0.0)  # a logit


def _part(outputs: Mapping[str, Tensor], name: str, layout: _Layout, sent: Size, unit: Array) -> Points | None:
    row = _row(outputs, name, layout.width)
    end = 3 * layout.points
    if row is None or not row[end] > layout.present:
        return None
    place = placement(row[end + 1 :].reshape(_GRID, _GRID, 3), sent)
    if place is None:
        return None
    points = row[:end].reshape(-1, 3) / layout.side
    points[:, 2] /= layout.depth
    return np.asarray(place(points) / unit, dtype=np.float32)


def _row(outputs: Mapping[str, Tensor], name: str, width: int) -> Array | None:
    tensor = outputs.get(name)
    if tensor is None or tensor.array.size != width or tensor.datatype != "FP32":
        return None
    with np.errstate(invalid="ignore"):  # a signalling NaN
        row = tensor.array.reshape(width).astype(np.float64)
    return row if np.abs(row).max() <= _LARGEST else None  # not for NaN either, which would stay in the filters
