"""Where a person's joints, hands and face are in a frame."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]

POSE_POINTS, HAND_POINTS, FACE_POINTS = 33, 21, 468


@dataclass(frozen=True, slots=True)
class Landmarks:
    """MediaPipe's landmarks of one person, float32, in its order of points.

    ``pose`` is [33, 5]: x and y over the picture's width and height, z on the scale of x, visibility and presence
    in 0…1. ``pose_world`` is [33, 3]: metres, the middle of the hips is the origin. ``left_hand`` and
    ``right_hand`` are [21, 3] and ``face`` is [468, 3], as the first three columns of ``pose``; ``None`` where
    they are not seen. ``size`` is the picture's width and height in pixels. Points may lie outside of it.
    """

    pose: Points
    pose_world: Points
    size: tuple[int, int]
    left_hand: Points | None = None
    right_hand: Points | None = None
    face: Points | None = None

    def pixels(self) -> npt.NDArray[np.float64]:
        """Body and hands in one unit, as :class:`~stream_client.classify.FeatureSchema` takes them.

        float64 [75, 3] in pixels: 33 of the pose, 21 of the left hand, 21 of the right; NaN where a hand is absent.
        """
        points = np.full((POSE_POINTS + 2 * HAND_POINTS, 3), np.nan)
        # z is on the scale of x.
        unit = np.array([self.size[0], self.size[1], self.size[0]], dtype=np.float64)
        points[:POSE_POINTS] = self.pose[:, :3] * unit
        for start, hand in ((POSE_POINTS, self.left_hand), (POSE_POINTS + HAND_POINTS, self.right_hand)):
            if hand is not None:
                points[start : start + HAND_POINTS] = hand * unit
        return points

    def world(self) -> npt.NDArray[np.float64]:
        """Body in metres, float64 [75, 3], laid out as :meth:`pixels`; hands are NaN."""
        points = np.full((POSE_POINTS + 2 * HAND_POINTS, 3), np.nan)
        points[:POSE_POINTS] = self.pose_world
        return points
