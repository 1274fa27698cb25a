"""Annotations that can be drawn on an image: boxes, ovals, texts, marks, lines with a gradient of two colors.

Source: util/annotation_renderer.cc.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from graph_server.holistic.crops import Bytes
from kserve_wire.pictures.connections import Chains
from kserve_wire.pictures.drawing import Color, Strokes, draw, to_pixels, to_thickness

Points = npt.NDArray[np.float64]

BLACK: Color = (0, 0, 0)
_TALLEST = 2000  # Pixels. OpenCV takes minutes for much taller texts, and from 50,000 pixels on it crashes.
# Pixels that the capital letters and the descenders take in OpenCV's fonts, at scale 1.
_FONT_HEIGHTS = {1: 9, 5: 13, **dict.fromkeys((0, 2, 3, 4, 6, 7), 21)}


class Annotation(Protocol):
    """One thing to draw."""

    def draw(self, canvas: Bytes) -> None:
        """Draw on ``canvas``, uint8 [h, w, 3 or 4]."""
        ...


@dataclass(frozen=True, slots=True)
class RenderData:
    """The annotations of one node, in drawing order."""

    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """Strokes that are already in pixels."""

    strokes: tuple[Strokes, ...]

    def draw(self, canvas: Bytes) -> None:
        """Draw on ``canvas``, uint8 [h, w, 3 or 4]."""
        draw(canvas, self.strokes)


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Lines between ``points`` and dots on them. ``points`` is float64 [n, 2]: 0…1 if ``relative``, else in pixels."""

    points: Points
    relative: bool
    color: Color
    thickness: float
    lines: Chains = ()
    dots: tuple[int, ...] = ()

    def draw(self, canvas: Bytes) -> None:
        """Draw on ``canvas``, uint8 [h, w, 3 or 4]."""
        pixels = _pixels(self.points, self.relative, canvas)
        draw(canvas, [Strokes(pixels, self.color, to_thickness(self.thickness), self.lines, self.dots)])


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """A line with a color that changes from ``first`` to ``last``. ``points`` is [2, 2], as in :class:`Marks`."""

    points: Points
    relative: bool
    first: Color
    last: Color
    thickness: float

    def draw(self, canvas: Bytes) -> None:
        """Draw a square at every step, as MediaPipe does. The side of the square is the thickness."""
        side = to_thickness(self.thickness)
        ends = _pixels(self.points, self.relative, canvas)
        height, width = canvas.shape[:2]
        visible, start, end = cv2.clipLine((0, 0, width, height), ends[0].tolist(), ends[1].tolist())
        steps = _steps(start, end) if visible else []
        for index, (x, y) in enumerate(steps):
            share = index / len(steps)
            color = [a * (1 - share) + b * share for a, b in zip(self.first, self.last, strict=True)]
            cv2.rectangle(canvas, (x, y, side, side), color, cv2.FILLED, cv2.LINE_4)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, or the oval inside it. Sides are 0…1, ``rotation`` is in radians, clockwise."""

    left: float
    top: float
    right: float
    bottom: float
    color: Color
    thickness: float
    rotation: float = 0.0
    filled: bool = False
    oval: bool = False
    corner: float | None = None
    """The radius of a disc at the top left corner."""

    def draw(self, canvas: Bytes) -> None:
        """Draw on ``canvas``, uint8 [h, w, 3 or 4]."""
        sides = np.array([[self.left, self.top], [self.right, self.bottom]])
        (left, top), (right, bottom) = _pixels(sides, True, canvas).tolist()
        thickness = cv2.FILLED if self.filled else to_thickness(self.thickness)
        degrees = math.degrees(self.rotation)
        if self.oval:
            center = (int((left + right) / 2), int((top + bottom) / 2))
            radii = (max(0, int((right - left) / 2)), max(0, int((bottom - top) / 2)))
            cv2.ellipse(canvas, center, radii, degrees, 0, 360, self.color, thickness)
            return
        size = (right - left, bottom - top)
        corners = cv2.boxPoints((((left + right) / 2, (top + bottom) / 2), size, degrees))
        vertices = np.rint(corners).astype(np.int32)
        if not self.rotation:
            if min(size) > 0:
                cv2.rectangle(canvas, (left, top, *size), self.color, thickness)
        elif self.filled:
            cv2.fillConvexPoly(canvas, corners.astype(np.int32), self.color)
        else:
            cv2.polylines(canvas, [vertices], True, self.color, thickness)
        if self.corner is not None:
            radius = to_thickness(self.corner)
            cv2.ellipse(canvas, vertices[1].tolist(), (radius, radius), 0, 0, 360, self.color, cv2.FILLED)


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text. Its baseline begins at ``left``, ``baseline``. Both and ``height`` are 0…1 of the image.

    ``font`` is OpenCV's number. ``outline`` is the width of the outline around the letters, in pixels.
    """

    text: str
    left: float
    baseline: float
    height: float
    color: Color
    thickness: float
    font: int = 0
    centered: tuple[bool, bool] = (False, False)
    outline: float = 0.0
    outline_color: Color = BLACK

    def draw(self, canvas: Bytes) -> None:
        """Draw on ``canvas``, uint8 [h, w, 3 or 4]. A text without a finite height is not drawn."""
        if not math.isfinite(self.height):
            return
        x, y = _pixels(np.array([[self.left, self.baseline]]), True, canvas)[0].tolist()
        thickness = to_thickness(self.thickness)
        pixels = max(-_TALLEST, min(_TALLEST, math.floor(self.height * canvas.shape[0] + 0.5)))
        unit = _FONT_HEIGHTS.get(self.font)
        scale = -1.0 if unit is None else (pixels - (thickness + 1) / 2) / unit
        width, height = cv2.getTextSize(self.text, self.font, scale, thickness)[0]
        origin = (x - width // 2 if self.centered[0] else x, y + height // 2 if self.centered[1] else y)
        if self.outline > 0:
            behind = to_thickness(self.thickness + 2 * self.outline)
            cv2.putText(canvas, self.text, origin, self.font, scale, self.outline_color, behind)
        cv2.putText(canvas, self.text, origin, self.font, scale, self.color, thickness)


def _pixels(points: Points, relative: bool, canvas: Bytes) -> npt.NDArray[np.int32]:
    """Points in pixels. As in MediaPipe, relative points are rounded and the others truncated."""
    return to_pixels(points * (canvas.shape[1], canvas.shape[0])) if relative else to_pixels(np.trunc(points))


def _steps(start: Sequence[int], end: Sequence[int]) -> list[tuple[int, int]]:
    """The pixels of a line, as OpenCV's ``LineIterator`` gives them. Neighbors share a side."""
    (x, y), (dx, dy) = start, (abs(end[0] - start[0]), abs(end[1] - start[1]))
    along = (1 if end[0] >= start[0] else -1, 0)
    across = (0, 1 if end[1] >= start[1] else -1)
    if dy > dx:
        dx, dy, along, across = dy, dx, across, along
    error = 0
    steps = []
    for _ in range(dx + dy + 1):
        steps.append((x, y))
        move = across if error < 0 else along
        error += 2 * dx if error < 0 else -2 * dy
        x, y = x + move[0], y + move[1]
    return steps
