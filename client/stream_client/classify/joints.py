"""The points that landmarks consist of: BlazePose's 33 joints, then 21 points a hand."""

import numpy as np
import numpy.typing as npt

BODY = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
"""MediaPipe's names, in its order (mediapipe/python/solutions/pose.py, PoseLandmark)."""

BONES = (
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "index"), ("shoulder", "hip"), ("hip", "knee"),
        ("knee", "ankle"), ("ankle", "heel"), ("heel", "foot_index"), ("ankle", "foot_index"), ("ear", "eye"),
    )),
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_eye", "nose"), ("right_eye", "nose"),
)  # fmt: skip
"""The lines of a drawn skeleton, as pairs of joints."""

HAND_POINTS = 21
HANDS = {"left_hand": slice(33, 54), "right_hand": slice(54, 75)}
"""Where the hands' points stand in an array with hands; the first point of each is the wrist."""
POINTS = 75

JOINT = {name: index for index, name in enumerate(BODY)}

_BODY_MIRROR = [
    JOINT[name.replace("left", "right") if "left" in name else name.replace("right", "left")] for name in BODY
]
MIRROR: npt.NDArray[np.intp] = np.array([*_BODY_MIRROR, *range(54, 75), *range(33, 54)], dtype=np.intp)
"""The index of each point's counterpart on the other side."""


def mirrored(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """[..., 33 or 75, 3] as a mirror shows it: left and right exchanged, x negated."""
    order = MIRROR[: landmarks.shape[-2]]
    return landmarks[..., order, :] * np.array([-1.0, 1.0, 1.0], dtype=landmarks.dtype)
