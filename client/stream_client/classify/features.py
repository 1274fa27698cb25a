"""Landmarks to features: one schema for training and serving alike.

All features are invariant to where the person stands and how large they appear: lengths are divided by the torso's
length and by the hips' width, positions are taken relative to the body. Landmarks must have one unit on all axes:
pixels, or meters; normalised image coordinates have to be multiplied by width and height first.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, HANDS, JOINT
from stream_client.errors import ConfigurationError

Array = npt.NDArray[np.float64]

_NECK, _MID_HIP = len(BODY), len(BODY) + 1
_POINT = {**JOINT, "neck": _NECK, "mid_hip": _MID_HIP}
_TINY = 1e-9
_NARROWEST_HIPS = 0.1
"""Hips have almost no width when seen from the side. Never divide by less than this, in torso lengths."""


def _both_sides(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name.replace("*", side) for name in names) for side in ("left", "right"))


ANGLES = (
    *_both_sides("*_shoulder", "*_elbow", "*_wrist"),
    *_both_sides("*_elbow", "*_wrist", "*_index"),
    *_both_sides("*_elbow", "*_shoulder", "*_hip"),
    *_both_sides("*_shoulder", "*_hip", "*_knee"),
    *_both_sides("*_hip", "*_knee", "*_ankle"),
    *_both_sides("*_knee", "*_ankle", "*_foot_index"),
    ("left_knee", "mid_hip", "right_knee"),
)
DISTANCES = (
    *_both_sides("*_wrist", "*_shoulder"),
    *_both_sides("*_wrist", "*_hip"),
    *_both_sides("*_wrist", "nose"),
    *_both_sides("*_ankle", "*_hip"),
    *_both_sides("*_ankle", "*_shoulder"),
    *_both_sides("*_knee", "*_shoulder"),
    ("left_wrist", "right_wrist"),
    ("left_elbow", "right_elbow"),
    ("left_knee", "right_knee"),
    ("left_ankle", "right_ankle"),
    ("nose", "mid_hip"),
)
LIMBS = (
    *_both_sides("*_shoulder", "*_elbow"),
    *_both_sides("*_elbow", "*_wrist"),
    *_both_sides("*_hip", "*_knee"),
    *_both_sides("*_knee", "*_ankle"),
    *_both_sides("*_ankle", "*_foot_index"),
    ("neck", "nose"),
)
ENDS = (
    "nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
MOVING = ("mid_hip", "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle", "right_ankle")


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """Which features are taken, in which order.

    ``angles``: at the middle joint of three, 0…π. ``distances``: between two joints, over torso length and
    over hip width. ``plumb_angles``: between a limb and the plumb line, which runs from the neck to the middle
    of the hips, 0…π. ``plumb_distances``: of a joint from the line's midpoint, in torso lengths. ``velocities``:
    of a joint relative to the hips, in torso lengths a second; ``mid_hip`` is that of the body as a whole.
    ``coordinates``: x, y, z relative to the hips, in torso lengths. ``hands``: ``left_hand``, ``right_hand``:
    presence (0 or 1) and 20 points relative to the wrist, in hand sizes, zero while absent. ``dimensions``: 2
    takes x and y alone, 3 depth too. ``space`` names what the landmarks are: ``image`` or ``world``.
    """

    angles: tuple[tuple[str, ...], ...] = ANGLES
    distances: tuple[tuple[str, ...], ...] = DISTANCES
    plumb_angles: tuple[tuple[str, ...], ...] = LIMBS
    plumb_distances: tuple[str, ...] = ENDS
    velocities: tuple[str, ...] = MOVING
    coordinates: tuple[str, ...] = ()
    hands: tuple[str, ...] = ()
    dimensions: tuple[int, ...] = (2, 3)
    space: str = "image"

    def __post_init__(self) -> None:
        joints = {
            *(name for group in (*self.angles, *self.distances, *self.plumb_angles) for name in group),
            *self.plumb_distances,
            *self.velocities,
            *self.coordinates,
        }
        if unknown := joints - _POINT.keys():
            raise ConfigurationError(f"feature schema: no such joints: {', '.join(sorted(unknown))}")
        if unknown := set(self.hands) - HANDS.keys():
            raise ConfigurationError(f"feature schema: no such hands: {', '.join(sorted(unknown))}")
        if not self.dimensions or set(self.dimensions) - {2, 3}:
            raise ConfigurationError(f"feature schema: dimensions are 2 and 3, not {self.dimensions}")
        if self.space not in ("image", "world"):
            raise ConfigurationError(f"feature schema: space is image or world, not {self.space!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each feature, in order."""
        names: list[str] = []
        for dimension in self.dimensions:
            names += (f"angle{dimension}d:" + "-".join(group) for group in self.angles)
            names += (f"distance{dimension}d/torso:" + "-".join(group) for group in self.distances)
            names += (f"distance{dimension}d/hips:" + "-".join(group) for group in self.distances)
            names += (f"plumb_angle{dimension}d:" + "-".join(group) for group in self.plumb_angles)
            names += (f"plumb_distance{dimension}d:{name}" for name in self.plumb_distances)
        axes = "xyz"[: max(self.dimensions)]
        names += (f"coordinate:{name}.{axis}" for name in self.coordinates for axis in axes)
        names += (f"velocity:{name}.{axis}" for name in self.velocities for axis in axes)
        for hand in self.hands:
            names.append(f"{hand}:present")
            names += (f"{hand}:{point}.{axis}" for point in range(1, 21) for axis in axes)
        return tuple(names)

    @property
    def hash(self) -> str:
        """A digest of everything that defines the features."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As plain values; :meth:`from_json` reads it."""
        return {**asdict(self), "version": 1}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "FeatureSchema":
        """The schema that :meth:`to_json` wrote; raises :class:`.ConfigurationError`."""
        values = dict(content)
        if values.pop("version", None) != 1:
            raise ConfigurationError(f"feature schema: version 1 is expected, not {content.get('version')!r}")
        if unknown := values.keys() - {field.name for field in fields(cls)}:
            raise ConfigurationError(f"feature schema: unknown parts {', '.join(sorted(unknown))}")
        return cls(**{name: _as_tuple(value) for name, value in values.items()})

    def difference(self, other: object) -> str:
        """What differs, for a message; empty when nothing does."""
        if not isinstance(other, FeatureSchema):
            return "computed features against a raw pose tensor"
        parts = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                parts.append(f"{field.name}: {_brief(mine, theirs)}")
        return "; ".join(parts)

    def compute(self, landmarks: npt.NDArray[np.floating], times: npt.NDArray[np.floating]) -> Array:
        """Features, float64 [steps, features].

        ``landmarks`` is [steps, 33 or 75, 3] (75 with hands, NaN where a hand is absent), ``times`` [steps]
        in seconds. Velocities are those since the step before; the first step has none: zero.
        """
        points = _with_middles(np.asarray(landmarks, dtype=np.float64))
        columns: list[Array] = []
        for dimension in self.dimensions:
            columns += self._shape(points[..., :dimension])
        axes = max(self.dimensions)
        # Depth is the least certain coordinate of an image. So the torso is measured only in the axes that are used.
        flat = points[..., :axes]
        torso, _ = _sizes(flat)
        relative = (flat - flat[:, _MID_HIP, None]) / torso[:, None, None]
        columns.append(relative[:, _indices(self.coordinates)].reshape(len(points), -1))
        columns.append(self._velocities(flat, relative, torso, np.asarray(times, dtype=np.float64)))
        columns += (_hand(np.asarray(landmarks, dtype=np.float64), HANDS[hand], axes) for hand in self.hands)
        return np.concatenate(columns, axis=1)

    def _shape(self, points: Array) -> list[Array]:
        torso, hips = _sizes(points)
        first, middle, last = (points[:, _column(self.angles, position)] for position in range(3))
        start, end = (points[:, _column(self.distances, position)] for position in range(2))
        length = np.linalg.norm(end - start, axis=-1)
        near, far = (points[:, _column(self.plumb_angles, position)] for position in range(2))
        line = (points[:, _MID_HIP] - points[:, _NECK])[:, None]
        midpoint = (points[:, _MID_HIP] + points[:, _NECK])[:, None] / 2
        from_line = np.linalg.norm(points[:, _indices(self.plumb_distances)] - midpoint, axis=-1)
        return [
            _angle(first - middle, last - middle),
            length / torso[:, None],
            length / hips[:, None],
            _angle(far - near, np.broadcast_to(line, near.shape)),
            from_line / torso[:, None],
        ]

    def _velocities(self, points: Array, relative: Array, torso: Array, times: Array) -> Array:
        index = _indices(self.velocities)
        moved = np.zeros((len(points), len(index), points.shape[-1]))
        if len(points) > 1 and len(index):
            step = np.maximum(np.diff(times), 1e-6)[:, None, None]
            moved[1:] = np.diff(relative[:, index], axis=0) / step
            body = index == _MID_HIP
            travelled = np.diff(points[:, _MID_HIP], axis=0)[:, None] / torso[1:, None, None]
            moved[1:, body] = (travelled / step)[:, np.zeros(body.sum(), dtype=int)]
        return moved.reshape(len(points), -1)


def _with_middles(landmarks: Array) -> Array:
    if landmarks.ndim != 3 or landmarks.shape[1] < len(BODY) or landmarks.shape[2] < 3:
        raise ConfigurationError(
            f"landmarks are [steps, 33 or 75, 3], not {list(landmarks.shape)}: give BlazePose's joints"
        )
    body = landmarks[:, : len(BODY), :3]
    neck = body[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(axis=1, keepdims=True)
    hip = body[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=1, keepdims=True)
    return np.concatenate([body, neck, hip], axis=1)


def _sizes(points: Array) -> tuple[Array, Array]:
    """Torso length and hip width of each step, both above zero."""
    torso = np.maximum(np.linalg.norm(points[:, _NECK] - points[:, _MID_HIP], axis=-1), _TINY)
    hips = np.linalg.norm(points[:, JOINT["left_hip"]] - points[:, JOINT["right_hip"]], axis=-1)
    return torso, np.maximum(hips, _NARROWEST_HIPS * torso)


def _angle(first: Array, second: Array) -> Array:
    """0…π between vectors; well-behaved near 0 and π, unlike the arc cosine; 0 where a vector is none."""
    dot = (first * second).sum(axis=-1)
    if first.shape[-1] == 2:
        cross = np.abs(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])
    else:
        cross = np.linalg.norm(np.cross(first, second), axis=-1)
    angle: Array = np.arctan2(cross, dot)
    return angle


def _hand(landmarks: Array, where: slice, axes: int) -> Array:
    if landmarks.shape[1] < where.stop:
        raise ConfigurationError("the schema has hand features, but the landmarks have no hands: give 75 points")
    points = landmarks[:, where, :axes]
    present: npt.NDArray[np.bool_] = np.logical_not(np.isnan(points).reshape(len(points), -1).any(axis=1))
    relative = points[:, 1:] - points[:, :1]
    size = np.linalg.norm(relative, axis=-1).max(axis=1)
    shape = np.where(present[:, None, None], relative / np.maximum(size, _TINY)[:, None, None], 0.0)
    return np.concatenate([present[:, None].astype(np.float64), shape.reshape(len(points), -1)], axis=1)


def _indices(names: tuple[str, ...]) -> npt.NDArray[np.intp]:
    return np.array([_POINT[name] for name in names], dtype=np.intp)


def _column(groups: tuple[tuple[str, ...], ...], position: int) -> npt.NDArray[np.intp]:
    return _indices(tuple(group[position] for group in groups))


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def _brief(mine: Any, theirs: Any) -> str:
    if not isinstance(mine, tuple):
        return f"{mine!r} against {theirs!r}"
    extra = [_name(item) for item in mine if item not in theirs]
    lacking = [_name(item) for item in theirs if item not in mine]
    if not extra and not lacking:
        return "in another order"
    parts = []
    for what, items in (("only here", extra), ("only there", lacking)):
        if items:
            parts.append(f"{what} {', '.join(items[:3])}" + (f" and {len(items) - 3} more" if len(items) > 3 else ""))
    return ", ".join(parts)


def _name(item: Any) -> str:
    return "-".join(item) if isinstance(item, tuple) else str(item)
