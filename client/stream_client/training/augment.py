"""Random variations of landmarks for training."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import JOINT, mirrored

Array = npt.NDArray[np.float64]

_SHOULDERS = [JOINT["left_shoulder"], JOINT["right_shoulder"]]
_HIPS = [JOINT["left_hip"], JOINT["right_hip"]]


def torso_length(landmarks: Array) -> Array:
    """[..., points, 3] to [...]: distance between shoulder middle and hip middle, in x and y."""
    line = landmarks[..., _SHOULDERS, :2].mean(axis=-2) - landmarks[..., _HIPS, :2].mean(axis=-2)
    length: Array = np.maximum(np.linalg.norm(line, axis=-1), 1e-9)
    return length


def jittered(landmarks: Array, rng: np.random.Generator, amount: float = 0.02) -> Array:
    """Add noise to each point. ``amount`` is its standard deviation in torso lengths."""
    scale = torso_length(landmarks)[..., None, None]
    return landmarks + rng.normal(0.0, amount, landmarks.shape) * scale


def scaled(landmarks: Array, rng: np.random.Generator, amount: float = 0.1) -> Array:
    """Stretch each axis by its own random factor, 1 ± ``amount``, as for another body or lens."""
    result: Array = landmarks * (1 + rng.uniform(-amount, amount, 3))
    return result


def rotated(landmarks: Array, rng: np.random.Generator, degrees: float = 10.0) -> Array:
    """Rotate in x and y by up to ``degrees``, as for a tilted camera. One angle for the whole sequence."""
    angle = np.radians(rng.uniform(-degrees, degrees))
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    result: Array = landmarks @ matrix.T
    return result


def time_warped(timestamps: npt.NDArray[np.int64], rng: np.random.Generator, amount: float = 0.15) -> Array:
    """Make the timestamps (µs) run faster or slower by up to ``amount``. The first one stays."""
    factor = 1 + rng.uniform(-amount, amount)
    result: Array = timestamps[0] + (timestamps - timestamps[0]) * factor
    return result


def mirror(landmarks: Array) -> Array:
    """Exchange left and right."""
    return np.asarray(mirrored(landmarks), dtype=np.float64)


def mirrored_target(labels: Sequence[str], target: int) -> int | None:
    """The label of a mirrored sample: "left step" becomes "right step". ``None`` if ``labels`` lacks it."""
    label = labels[target]
    other = re.sub(r"(?i)left|right", _exchange, label)
    if other == label:
        return target
    return list(labels).index(other) if other in labels else None


def _exchange(match: re.Match[str]) -> str:
    word = match[0]
    other = "right" if word.lower() == "left" else "left"
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
