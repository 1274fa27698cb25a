"""Draws landmarks on an image.

Sources: graphs/holistic_tracking/holistic_tracking_to_render_data.pbtxt (colors, thicknesses, connections),
util/annotation_renderer.cc (rounding), calculators/util/annotation_overlay_calculator.cc (padded rows).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kserve_wire.pictures.connections import FACE, HAND, POSE, Chains

Bytes = npt.NDArray[np.uint8]
Landmarks = npt.NDArray[np.float32]
"""[n, 3 or more]: x and y over the image's width and height, z; visibility where it is used."""
ImageSize = tuple[int, int]
"""Width and height in pixels."""
Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
ORANGE: Color = (255, 138, 0)
CYAN: Color = (0, 217, 231)

_SCALE = 0.0008  # of the longer side of the pose's region, in pixels
_FAR = 16_000
_SMALL_DOT = 2  # Pixels. For larger radii OpenCV is faster: 1 ms for 468 dots of 16 pixels instead of 33.
_ROW_ALIGNMENT = 16  # bytes; framework/formats/image_frame.h


@dataclass(frozen=True, slots=True)
class Strokes:
    """Lines and dots in one color. ``points`` is int32 [n, 2] in pixels, ``thickness`` is in pixels, at least 1.

    ``lines`` are chains of point indices, ``dots`` are point indices.
    """

    points: npt.NDArray[np.int32]
    color: Color
    thickness: int
    lines: Chains = ()
    dots: tuple[int, ...] = ()


def holistic_strokes(
    size: ImageSize,
    pose: Landmarks | None,
    region: tuple[float, float] | None,
    left_hand: Landmarks | None,
    right_hand: Landmarks | None,
    face: Landmarks | None,
) -> list[Strokes]:
    """The strokes in drawing order. The wrists of the hands replace those of the pose, so that hands and arms meet.

    ``region`` is width and height of the pose's region over those of the image, for the scale.
    """
    scale = _SCALE
    if region is not None:
        scale *= max(region[0] * size[0], region[1] * size[1])
    strokes: list[Strokes] = []
    if pose is not None:
        strokes += _pose(_with_wrists(pose, left_hand, right_hand), size, scale)
    for hand, color in ((left_hand, ORANGE), (right_hand, CYAN)):
        if hand is not None:
            points = _pixels(hand, size)
            every = tuple(range(len(points)))
            strokes.append(Strokes(points, WHITE, to_thickness(4.0 * scale), HAND, every))
            strokes.append(Strokes(points, color, to_thickness(3.0 * scale), (), every))
    if face is not None:
        points = _pixels(face, size)
        thin = to_thickness(0.5 * scale)
        # MediaPipe first draws white dots of the same size. The colored dots cover them, so they are not drawn here.
        strokes.append(Strokes(points, WHITE, thin, FACE))
        strokes.append(Strokes(points, CYAN, thin, (), tuple(range(len(points)))))
    return strokes


def canvas_for(image: Bytes) -> Bytes:
    """A copy of ``image`` (uint8 [h, w, c]) to draw on. Gray becomes RGB. Rows are padded to 16 bytes."""
    height, width = image.shape[:2]
    channels = 4 if image.shape[2] == 4 else 3
    stride = -(-width * channels // _ROW_ALIGNMENT) * _ROW_ALIGNMENT
    rows = np.empty((height, stride), np.uint8)
    rows[:, width * channels :] = 0
    canvas = rows[:, : width * channels].reshape(height, width, channels)
    canvas[:] = image
    return canvas


def draw(canvas: Bytes, strokes: Sequence[Strokes]) -> None:
    """Draw on ``canvas``, uint8 [h, w, 3 or 4]."""
    for stroke in strokes:
        segments = list(_segments(stroke))
        if segments:
            cv2.polylines(canvas, segments, False, stroke.color, stroke.thickness)
        if stroke.dots:
            _draw_dots(canvas, stroke.points[np.array(stroke.dots)], stroke.color, stroke.thickness)


def _draw_dots(canvas: Bytes, points: npt.NDArray[np.int32], color: Color, radius: int) -> None:
    """Draw all small dots at once. A face has 468: one OpenCV call for each took longer than all the other drawing."""
    if radius > _SMALL_DOT:
        for x, y in points.tolist():
            cv2.circle(canvas, (x, y), radius, color, cv2.FILLED)
        return
    places = (points[:, None] + _disc(radius)).reshape(-1, 2)
    seen = places[((places >= 0) & (places < (canvas.shape[1], canvas.shape[0]))).all(axis=1)]
    canvas[seen[:, 1], seen[:, 0]] = (*color, 0)[: canvas.shape[2]]


@lru_cache(maxsize=32)
def _disc(radius: int) -> npt.NDArray[np.int32]:
    """The pixels of OpenCV's filled circle, int32 [n, 2]: x and y from its center."""
    square = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
    cv2.circle(square, (radius, radius), radius, 1, cv2.FILLED)
    return (np.argwhere(square)[:, ::-1] - radius).astype(np.int32)


def _segments(stroke: Strokes) -> Iterator[npt.NDArray[np.int32]]:
    for chain in stroke.lines:
        yield stroke.points[np.array(chain)]


def _pose(points: Landmarks, size: ImageSize, scale: float) -> list[Strokes]:
    pixels = _pixels(points, size)
    seen = points[:, 3]
    faint = tuple(np.flatnonzero(seen >= 0.1).tolist())
    clear = tuple(np.flatnonzero(seen >= 0.5).tolist())
    shown = set(faint)
    lines = tuple((a, b) for chain in POSE for a, b in itertools.pairwise(chain) if a in shown and b in shown)
    return [
        Strokes(pixels, WHITE, to_thickness(3.0 * scale), lines, faint),
        Strokes(pixels, WHITE, to_thickness(5.0 * scale), (), clear),
        Strokes(pixels, ORANGE, to_thickness(3.0 * scale), (), tuple(dot for dot in clear if dot % 2 == 0)),
        Strokes(pixels, CYAN, to_thickness(3.0 * scale), (), tuple(dot for dot in clear if dot % 2 == 1)),
    ]


def _with_wrists(pose: Landmarks, left_hand: Landmarks | None, right_hand: Landmarks | None) -> Landmarks:
    """The 16 drawn points: 11 to 14, the wrists, 23 to 32."""
    points = np.concatenate([pose[11:17], pose[23:33]])
    for place, hand in ((4, left_hand), (5, right_hand)):
        if hand is not None:
            points[place, :3] = hand[0, :3]
            points[place, 3] = 1.0  # landmarks of hands have no visibility and are always drawn
    return points


def _pixels(landmarks: Landmarks, size: ImageSize) -> npt.NDArray[np.int32]:
    return to_pixels(landmarks[:, :2] * np.array(size, np.float64))


def to_pixels(points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int32]:
    """Points rounded to pixels. Halves are rounded away from zero, as in C++."""
    # Points far outside the image are invisible, and OpenCV's fixed-point numbers would overflow.
    clipped = np.clip(np.nan_to_num(points, nan=-_FAR), -_FAR, _FAR)
    rounded: npt.NDArray[np.int32] = (np.sign(clipped) * np.floor(np.abs(clipped) + 0.5)).astype(np.int32)
    return rounded


def to_thickness(pixels: float) -> int:
    """A thickness in whole pixels, 1 to 255. It is 1 if ``pixels`` is not finite."""
    return max(1, min(255, math.floor(pixels + 0.5))) if math.isfinite(pixels) else 1
