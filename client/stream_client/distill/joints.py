"""Which joints a student learns: MediaPipe's 33, or the 27 of CoMotion by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT, MIRROR

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_VISIBLE = 0.5
"""The least visibility of a landmark that a joint is made from."""


@dataclass(frozen=True, slots=True, eq=False)
class JointSet:
    """Joints by name. ``weights`` [joints, 33] make each of them from MediaPipe's landmarks; a row adds up to 1.

    ``mirror`` [joints] has the index of each joint's counterpart on the other side.
    """

    name: str
    names: tuple[str, ...]
    weights: Array
    mirror: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.names)

    def of_landmarks(self, world: npt.NDArray[np.floating], visibility: npt.NDArray[np.floating]) -> tuple[Array, Mask]:
        """Joints [joints, 3] in meters from the middle of the hips, and which of them are visible, bool [joints].

        ``world`` is [33, 3] in meters, ``visibility`` [33] in 0…1. A joint is visible where each landmark that it is
        made from is.
        """
        pelvis = world[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
        joints = self.weights @ (world - pelvis)
        used = self.weights != 0
        seen = np.where(used, visibility[None, :], 1.0).min(axis=1) >= _VISIBLE
        return joints.astype(np.float32), seen


MEDIAPIPE = JointSet("33", BODY, np.eye(len(BODY), dtype=np.float32), MIRROR[: len(BODY)])
"""BlazePose's landmarks of the body."""

_HIPS, _SHOULDERS = {"hip": 1.0}, {"shoulder": 1.0}
_MIDDLE: Mapping[str, Mapping[str, float]] = {
    "pelvis": _HIPS,
    "spine1": {"hip": 0.75, "shoulder": 0.25},
    "spine2": {"hip": 0.5, "shoulder": 0.5},
    "spine3": {"hip": 0.3, "shoulder": 0.7},
    "neck": _SHOULDERS,
    "head": {"ear": 1.0},
}
"""Joints in the middle, as shares of the middles of two landmarks."""
_OF_A_SIDE: Mapping[str, str] = {"foot": "foot_index"}
_SIDED = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist", "eye", "ear")

COMOTION_NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("nose", "right_eye", "left_eye", "right_ear", "left_ear"),
)
"""The first 22 joints of SMPL, and five points of the face (CoMotion, smpl_kinematics.py, ``joints_face``)."""


def _recipe(name: str) -> Mapping[str, float]:
    """The landmarks of a joint, with their weights."""
    if name in _MIDDLE:
        return {f"{side}_{part}": share / 2 for part, share in _MIDDLE[name].items() for side in ("left", "right")}
    side, _, part = name.partition("_")
    if part == "collar":  # halfway from the neck to the shoulder
        other = "right" if side == "left" else "left"
        return {f"{side}_shoulder": 0.75, f"{other}_shoulder": 0.25}
    if part in _SIDED:
        return {f"{side}_{_OF_A_SIDE.get(part, part)}": 1.0}
    return {name: 1.0}


def _joint_set(name: str, names: Sequence[str]) -> JointSet:
    weights = np.zeros((len(names), len(BODY)), np.float32)
    for row, joint in enumerate(names):
        for landmark, share in _recipe(joint).items():
            weights[row, JOINT[landmark]] = share
    exchanged = {"left": "right", "right": "left"}
    mirror = []
    for joint in names:
        side, separator, part = joint.partition("_")
        mirror.append(names.index(exchanged[side] + separator + part) if side in exchanged else names.index(joint))
    return JointSet(name, tuple(names), weights, np.array(mirror, np.intp))


COMOTION = _joint_set("27", COMOTION_NAMES)
"""CoMotion's joints. Where MediaPipe has no such landmark, they lie on the lines between those that it has: the spine
between hips and shoulders, the collars between neck and shoulders, the head between the ears. CoMotion's own come from
a body model, so they differ by some centimeters.
"""
JOINT_SETS: Mapping[str, JointSet] = {each.name: each for each in (MEDIAPIPE, COMOTION)}
