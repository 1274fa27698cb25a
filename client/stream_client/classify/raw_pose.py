"""The pose network's own output as features, for models that bring their normalization with them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.joints import BODY
from stream_client.errors import ConfigurationError

POSE_TENSOR = 195
"""Length of the tensor: 39 points of x, y, z in pixels of the crop, visibility and presence logits."""
POSE_INPUT = "pose_landmarks"
"""What a graph calls the input of its classifier."""


@dataclass(frozen=True, slots=True)
class RawPose:
    """Landmarks laid out as the pose network's tensor, so that a graph's classifier runs in the client too.

    Only models that are invariant to place, size and rotation may take it: the network's crop is turned and scaled with
    the person, but the client's landmarks are not.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each of the 195 values."""
        points = [*BODY, *(f"auxiliary_{index}" for index in range(6))]
        return tuple(f"{name}.{part}" for name in points for part in ("x", "y", "z", "visibility", "presence"))

    @property
    def hash(self) -> str:
        """A digest of what the values mean."""
        return hashlib.sha256(" ".join(self.names).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"raw": POSE_INPUT, "version": 1}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "RawPose":
        """What :meth:`to_json` wrote; raises :class:`.ConfigurationError`."""
        if dict(content) != {"raw": POSE_INPUT, "version": 1}:
            raise ConfigurationError(f"feature schema: {content!r} is not known")
        return cls()

    def difference(self, other: object) -> str:
        """What differs, for a message; empty when nothing does."""
        return "" if isinstance(other, RawPose) else "raw pose tensor against computed features"

    def compute(self, landmarks: npt.NDArray[np.floating], times: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """[steps, 33 or 75, 3] to [steps, 195]. Values that landmarks do not contain are zero."""
        points = np.asarray(landmarks, dtype=np.float64)
        table = np.zeros((len(points), POSE_TENSOR // 5, 5))
        table[:, : len(BODY), :3] = points[:, : len(BODY), :3]
        return table.reshape(len(points), POSE_TENSOR)
