"""Where in an image persons are looked for, and by which detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from graph_server.holistic.crops import WHOLE, Bytes
from graph_server.holistic.multipose import MultiPoseDetector
from graph_server.holistic.person_views import square, views_of
from graph_server.holistic.pose import PoseDetector
from graph_server.holistic.regions import ImageSize, Region
from graph_server.models.repository import Models

DetectorName = Literal["pose", "movenet", "auto"]
"""MediaPipe's pose detector, made for near persons; MoveNet MultiPose, for small ones; or each where it is better."""

Points = npt.NDArray[np.float32]
"""The hip center and a point on MediaPipe's circle around the body, and perhaps others, float32 [k, 2], over the
image's sides."""

_SMALL = 0.4
"""Sizes of a square, below which a person is small: the pose detector begins to miss them."""


class PersonDetector(Protocol):
    """Finds persons in an image."""

    def detect_all(self, image: Bytes, most: int, view: Region = WHOLE) -> list[Points]:
        """Up to ``most`` persons in a part of the image, best first."""


Look = tuple[PersonDetector, Region]
"""A detector, and the part of the image in which it looks."""


@dataclass(frozen=True, slots=True)
class Detectors:
    """``near`` looks at the whole image, ``small`` at parts of it; they may be the same one."""

    near: PersonDetector
    small: PersonDetector

    @classmethod
    def open(cls, models: Models, name: DetectorName) -> "Detectors":
        """The detectors of that name; raises :class:`~graph_server.errors.MissingModelError`."""
        near: PersonDetector
        small: PersonDetector
        if name == "pose":
            near = small = PoseDetector(models.get("pose_detection"))
        else:
            small = MultiPoseDetector(models.get("movenet_multipose"))
            near = PoseDetector(models.get("pose_detection")) if name == "auto" else small
        return cls(near, small)

    def looks(self, size: ImageSize) -> Sequence[Look]:
        """What takes turns: the whole image, and its squares. An image that is itself a square is one."""
        whole, *squares = views_of(size)
        if not squares and self.near is not self.small:
            squares = [whole]
        return [(self.near, whole), *((self.small, view) for view in squares)]

    def look_at(self, x: float, y: float, scale: float, size: ImageSize) -> Look:
        """Where somebody of a size of ``scale`` may be, all in pixels."""
        return (self.small if scale < _SMALL * min(size) else self.near), square(x, y, size)
