"""Where a person is, and where they will be while nobody sees them."""

import math
from dataclasses import dataclass

from graph_server.holistic.pose import Pose, alignment_region
from graph_server.holistic.regions import ImageSize

_MEMORY = 0.2
"""Seconds over which the velocity is averaged: a few frames, shorter than a step."""
_LONGEST_STEP = 1.0
"""Seconds. Nobody goes straight on for longer."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A person's hips in pixels, their velocity in pixels a second, at ``time`` in µs.

    ``scale`` is the size of the person in pixels: the diameter of MediaPipe's circle around the body.
    """

    x: float
    y: float
    scale: float
    time: int
    speed_x: float = 0.0
    speed_y: float = 0.0

    @classmethod
    def of(cls, pose: Pose, size: ImageSize, time: int) -> "Motion":
        """The place of a pose in an image of ``size``, at rest."""
        region = alignment_region(pose.auxiliary, size)
        return cls(region.x_center * size[0], region.y_center * size[1], region.width * size[0], time)

    def then(self, seen: "Motion") -> "Motion":
        """The motion after the person was seen at another place."""
        seconds = (seen.time - self.time) / 1e6
        if seconds <= 0:
            return seen
        weight = 1 - math.exp(-seconds / _MEMORY)
        return Motion(
            *(seen.x, seen.y, seen.scale, seen.time),
            self.speed_x + weight * ((seen.x - self.x) / seconds - self.speed_x),
            self.speed_y + weight * ((seen.y - self.y) / seconds - self.speed_y),
        )

    def at(self, time: int) -> tuple[float, float]:
        """Where the person is at ``time``, in pixels, if they move on."""
        seconds = min(max(0.0, (time - self.time) / 1e6), _LONGEST_STEP)
        return self.x + self.speed_x * seconds, self.y + self.speed_y * seconds

    @property
    def pace(self) -> float:
        """The speed in sizes of the person a second."""
        return math.hypot(self.speed_x, self.speed_y) / max(self.scale, 1.0)

    def distance(self, other: "Motion") -> float:
        """How far the person, who moves on, is from ``other`` at its time, in sizes of the larger of the two."""
        x, y = self.at(other.time)
        return math.hypot(x - other.x, y - other.y) / max(self.scale, other.scale, 1.0)
