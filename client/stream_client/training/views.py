"""What the guard against the unknown looks at: features in which an unusual posture stands out."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY, JOINT

Array = npt.NDArray[np.float64]
View = Literal["limbs", "steps", "rows"]
"""``limbs``: angles between the limbs of torso-aligned poses. ``steps``: the steps of trajectories, whatever their
size. ``rows``: the rows themselves, which are features of windows."""

_SIDES = ("left", "right")
_PAIRS = (
    *((f"{side}_{a}", f"{side}_{b}") for a, b in (("shoulder", "elbow"), ("elbow", "wrist")) for side in _SIDES),
    *((f"{side}_{a}", f"{side}_{b}") for a, b in (("hip", "knee"), ("knee", "ankle")) for side in _SIDES),
    *((f"{side}_ankle", f"{side}_foot_index") for side in _SIDES),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    *((f"{side}_shoulder", f"{side}_hip") for side in _SIDES),
    ("left_shoulder", "nose"),
)
STARTS = np.array([JOINT[start] for start, _ in _PAIRS], dtype=np.int64)
ENDS = np.array([JOINT[end] for _, end in _PAIRS], dtype=np.int64)
TINY = 1e-3
"""A limb or a step of no length has no direction. In torso lengths, or in widths of the image."""
_UPPER = np.triu_indices(len(_PAIRS), 1)
COLUMNS: npt.NDArray[np.int64] = (_UPPER[0] * len(_PAIRS) + _UPPER[1]).astype(np.int64)
"""Where the pairs of different limbs stand in the flattened table of all pairs."""


def seen(view: View, rows: npt.NDArray[np.float32]) -> Array:
    """Rows [n, columns] as the guard sees them, float64 [n, features]."""
    given = np.asarray(rows, dtype=np.float64)
    if view == "limbs":
        points = given.reshape(-1, 3, len(BODY))
        limbs = points[:, :, ENDS] - points[:, :, STARTS]
        return np.concatenate([_cosines(limbs), _cosines(limbs[:, :2])], axis=1)
    if view == "steps":
        steps = given @ step_matrix(given.shape[1])
        size = np.sqrt((steps**2).sum(axis=1, keepdims=True)) + TINY
        return np.concatenate([steps / size, np.log(size)], axis=1)
    return given


def step_matrix(columns: int) -> Array:
    """[columns, columns - 2]: positions x, y, x, y, … times this matrix are the steps between them."""
    return np.eye(columns)[:, 2:] - np.eye(columns)[:, :-2]


def _cosines(limbs: Array) -> Array:
    """[n, axes, limbs] to [n, pairs]."""
    directions = limbs / (np.sqrt((limbs**2).sum(axis=1, keepdims=True)) + TINY)
    products = np.einsum("nai,naj->nij", directions, directions)
    pairs: Array = products.reshape(len(limbs), len(_PAIRS) ** 2)[:, COLUMNS]
    return pairs
