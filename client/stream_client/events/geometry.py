"""Zones and lines in the frame. Coordinates are fractions of the frame's width and height; y grows downwards."""

from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A simple polygon: three points or more, without crossing edges."""

    points: tuple[Point, ...]

    def contains(self, point: Point) -> bool:
        """Whether ``point`` is inside. Of a border that two zones share, each point is in one of them.

        Counts the edges that a ray to the right crosses (the even-odd rule).
        """
        x, y = point
        inside = False
        ax, ay = self.points[-1]
        for bx, by in self.points:
            if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
                inside = not inside
            ax, ay = bx, by
        return inside


@dataclass(frozen=True, slots=True)
class Line:
    """A segment from ``start`` to ``end``, which has a left and a right as for somebody who walks along it.

    A point that is nearer to the endless line than ``margin`` (a fraction of the frame) is on neither side.
    """

    start: Point
    end: Point
    margin: float = 0.0

    def side(self, point: Point) -> Side | None:
        """The side of a point; ``None``: on the line."""
        (ax, ay), (bx, by) = self.start, self.end
        along = (bx - ax, by - ay)
        cross = along[0] * (point[1] - ay) - along[1] * (point[0] - ax)
        if abs(cross) <= self.margin * (along[0] ** 2 + along[1] ** 2) ** 0.5:
            return None
        return "right" if cross > 0 else "left"

    def crosses(self, before: Point, after: Point) -> bool:
        """Whether the way from ``before`` to ``after``, points on different sides, passes between the two ends."""
        way = Line(before, after)
        ends = (way.side(self.start), way.side(self.end))
        return ends[0] != ends[1] or ends[0] is None
