"""Poses as programs for StreamPoseML give and take them: dictionaries of named joints."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT
from stream_client.errors import ConfigurationError

Array = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A body in a frame. ``points`` is float64 [33, 3]: x over the width, y over the height, z on the scale of x.

    ``size`` is the frame's, in pixels; ``None`` where the program did not say.
    """

    points: Array
    size: Size | None = None

    def in_pixels(self, otherwise: Size) -> Array:
        """The points in one unit on all axes, pixels. ``otherwise`` is the size where none is known."""
        width, height = self.size or otherwise
        return self.points * np.array([width, height, width], dtype=np.float64)


def read_pose(keypoints: Mapping[str, Any]) -> Pose | None:
    """The pose in a dictionary; ``None`` where it shows nobody. Raises :class:`.ConfigurationError`.

    Either ``{"landmarks": [[{"x", "y", "z"}, …]]}``, as MediaPipe's JavaScript gives and StreamPoseML's page sends, or
    ``{"joint_positions": {"nose": {"x", "y", "z"}, …}}``. ``image_dimensions`` may name ``width`` and ``height``.
    """
    if not isinstance(keypoints, Mapping):
        raise ConfigurationError(
            f"keypoints are a dictionary with 'landmarks' or 'joint_positions', not {type(keypoints).__name__}"
        )
    size = _size(keypoints.get("image_dimensions"))
    if "joint_positions" in keypoints:
        named = keypoints["joint_positions"]
        if not named:
            return None
        if not isinstance(named, Mapping):
            raise ConfigurationError(f"joint_positions are joints by name, not {type(named).__name__}")
        if missing := [name for name in BODY if name not in named]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ConfigurationError(f"joint_positions lack {', '.join(missing[:3])}{more}")
        return Pose(_points([named[name] for name in BODY]), size)
    if "landmarks" not in keypoints:
        there = ", ".join(map(str, keypoints)) or "nothing"
        raise ConfigurationError(f"keypoints have neither 'landmarks' nor 'joint_positions', only {there}")
    people = keypoints["landmarks"]
    if not people:
        return None
    # Some versions of MediaPipe's JavaScript give the one person without a list of persons.
    joints = people if _is_point(people[0]) else people[0]
    return Pose(_points(joints), size) if joints else None


def joint_positions(points: Array) -> dict[str, dict[str, float]]:
    """StreamPoseML's ``joint_positions`` of points [33, 3].

    ``x_normalized`` and ``y_normalized`` are as StreamPoseML defines them: over the distance of the hips, minus their
    middle (blaze_pose/mediapipe_client.py, serialize_pose_landmarks); infinite where both hips are in one place.
    """
    left, right = points[JOINT["left_hip"], :2], points[JOINT["right_hip"], :2]
    distance = math.dist(left, right)
    middle = (left + right) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        normalized = points[:, :2] / distance - middle
    return {
        name: {
            **dict(zip("xyz", point.tolist(), strict=True)),
            "x_normalized": float(flat[0]),
            "y_normalized": float(flat[1]),
            "z_normalized": float(point[2]),
        }
        for name, point, flat in zip(BODY, points, normalized, strict=True)
    }


def _points(joints: Iterable[Any]) -> Array:
    rows = [_coordinates(joint) for joint in joints]
    if len(rows) != len(BODY):
        raise ConfigurationError(f"a pose has {len(BODY)} points, not {len(rows)}")
    points = np.array(rows, dtype=np.float64)
    if not np.isfinite(points).all():
        raise ConfigurationError("a pose with coordinates that are not numbers")
    return points


def _coordinates(joint: Any) -> Sequence[float]:
    try:
        if isinstance(joint, Mapping):
            return [float(joint["x"]), float(joint["y"]), float(joint.get("z", 0.0))]
        return [float(joint.x), float(joint.y), float(joint.z)]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"a joint has the numbers x, y and z; this one has not: {str(joint)[:60]}") from error


def _is_point(value: Any) -> bool:
    return (isinstance(value, Mapping) and "x" in value) or hasattr(value, "x")


def _size(dimensions: Any) -> Size | None:
    if not isinstance(dimensions, Mapping):
        return None
    try:
        width, height = int(dimensions["width"]), int(dimensions["height"])
    except (KeyError, TypeError, ValueError):
        return None
    return (width, height) if width > 0 and height > 0 else None
