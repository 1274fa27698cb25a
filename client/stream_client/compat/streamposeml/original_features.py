"""StreamPoseML's own columns, number for number, for models that were trained with it.

Names and formulas: StreamPoseML 0.3.1, blaze_pose/openpose_mediapipe_transformer.py, geometry/angle.py and
geometry/distance.py. Two of its formulas are odd and kept, since its models learned from them: the vector
``right_elbow_right_wrist`` runs from the left elbow to the left wrist, and a line's midpoint is (x1 + x2 / 2,
y1 + y2 / 2, (z1 + z2) / 2).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT
from stream_client.compat.streamposeml.keypoints import joint_positions

Array = npt.NDArray[np.float64]
Geometry = dict[str, dict[str, dict[str, float]]]
"""Measures of a frame: group, name, kind."""

_LIMBS = {
    f"{start}_{end}": (start, end)
    for start, end in (
        ("nose", "neck"), ("neck", "mid_hip"), ("neck", "right_shoulder"), ("neck", "left_shoulder"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("left_shoulder", "left_elbow"),
        ("mid_hip", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("mid_hip", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("nose", "right_eye"),
        ("right_eye", "right_ear"), ("nose", "left_eye"), ("left_eye", "left_ear"), ("left_ankle", "left_foot_index"),
        ("left_ankle", "left_heel"), ("right_ankle", "right_foot_index"), ("right_ankle", "right_heel"),
    )
}  # fmt: skip
_TURNED = (
    ("right_ankle_right_heel", "neck_mid_hip"), ("nose_neck", "neck_right_shoulder"),
    ("neck_mid_hip", "mid_hip_left_hip"), ("neck_right_shoulder", "right_shoulder_right_elbow"),
    ("neck_left_shoulder", "left_shoulder_left_elbow"), ("left_shoulder_left_elbow", "right_elbow_right_wrist"),
    ("mid_hip_right_hip", "right_hip_right_knee"), ("right_knee_right_ankle", "right_ankle_right_heel"),
    ("mid_hip_left_hip", "left_hip_left_knee"), ("left_hip_left_knee", "left_knee_left_ankle"),
    ("left_knee_left_ankle", "left_ankle_left_foot_index"), ("nose_right_eye", "right_eye_right_ear"),
    ("nose_left_eye", "left_eye_left_ear"), ("left_ankle_left_heel", "right_ankle_right_foot_index"),
)  # fmt: skip
_FROM_PLUMB_LINE = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
    "left_eye", "right_ear", "left_ear", "left_foot_index", "left_heel", "right_foot_index", "right_heel",
)  # fmt: skip
_PLUMB_LINE = ("neck", "mid_hip")
_ODD_LIMB = {"right_elbow_right_wrist": ("left_elbow", "left_wrist")}


def original_row(frames: Sequence[Geometry]) -> dict[str, float]:
    """Every column of StreamPoseML for a window, from the geometry of its frames.

    ``angles.frame-1-NAME.angle_2d`` (radians; also ``_3d`` and ``_degrees``), ``distances.frame-1-NAME.distance_2d``
    (also ``_3d`` and ``_normalized``), ``joints.frame-1-NAME.x`` (also y, z and ``_normalized``); frames from 1.
    """
    row: dict[str, float] = {}
    for number, geometry in enumerate(frames, start=1):
        for group, measures in geometry.items():
            for name, values in measures.items():
                prefix = f"{group}.frame-{number}-{name}."
                row.update((prefix + key, value) for key, value in values.items())
    return row


def frame_geometry(points: Array) -> Geometry:
    """``angles``, ``distances`` and ``joints`` of a frame, points [33, 3] over its width and height."""
    positions = joint_positions(points)
    normalized = np.array([[positions[name][f"{axis}_normalized"] for axis in "xyz"] for name in BODY])
    joints, normalized_joints = _with_middles(points), _with_middles(normalized)
    for name in _PLUMB_LINE:  # StreamPoseML adds these two to the joints
        values = np.concatenate([joints[name], normalized_joints[name]]).tolist()
        positions[name] = dict(
            zip(("x", "y", "z", "x_normalized", "y_normalized", "z_normalized"), values, strict=True)
        )
    return {
        "angles": dict(_angles(joints)),
        "distances": dict(_distances(joints, normalized_joints)),
        "joints": positions,
    }


def _with_middles(points: Array) -> dict[str, Array]:
    named = {name: points[JOINT[name]] for name in BODY}
    named["neck"] = (named["left_shoulder"] + named["right_shoulder"]) / 2
    named["mid_hip"] = (named["left_hip"] + named["right_hip"]) / 2
    return named


def _angles(joints: dict[str, Array]) -> Iterator[tuple[str, dict[str, float]]]:
    vectors = {name: joints[end] - joints[start] for name, (start, end) in {**_LIMBS, **_ODD_LIMB}.items()}
    vectors["plumb_line"] = joints[_PLUMB_LINE[1]] - joints[_PLUMB_LINE[0]]
    for first, second in (*((name, "plumb_line") for name in _LIMBS), *_TURNED):
        flat = _angle(vectors[first][:2], vectors[second][:2])
        deep = _angle(vectors[first], vectors[second])
        yield (
            f"{first}_to_{second}",
            {
                "angle_2d": flat,
                "angle_2d_degrees": float(np.degrees(flat)),
                "angle_3d": deep,
                "angle_3d_degrees": float(np.degrees(deep)),
            },
        )


def _angle(first: Array, second: Array) -> float:
    """In radians, 0…π; NaN where a vector has no length."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.dot(first / np.linalg.norm(first), second / np.linalg.norm(second))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _distances(joints: dict[str, Array], normalized: dict[str, Array]) -> Iterator[tuple[str, dict[str, float]]]:
    for name in _FROM_PLUMB_LINE:
        values = {}
        for suffix, points in (("", joints), ("_normalized", normalized)):
            start, end = points[_PLUMB_LINE[0]], points[_PLUMB_LINE[1]]
            midpoint = np.array([start[0] + end[0] / 2, start[1] + end[1] / 2, (start[2] + end[2]) / 2])
            values[f"distance_2d{suffix}"] = float(np.linalg.norm(points[name][:2] - midpoint[:2]))
            values[f"distance_3d{suffix}"] = float(np.linalg.norm(points[name] - midpoint))
        yield f"{name}_to_plumb_line", values
