"""How far a student is from its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_client.distill.joints import Array
from stream_client.distill.samples import PoseSample

NEAR = 0.15
"""Meters within which a joint counts as right: 3D PCK of Mehta et al., "Monocular 3D human pose estimation in the
wild using improved CNN supervision", 3DV 2017.
"""


@dataclass(frozen=True, slots=True)
class Scores:
    """Against the teacher, over all visible joints of held-out samples.

    ``mpjpe``: mean distance in meters (mean per joint position error). ``pck``: share of joints within 150 mm, 0…1.
    ``expected``: mean of the distances that the student expects, in meters; NaN for what expects none.
    """

    mpjpe: float
    pck: float
    expected: float = float("nan")


def scores_of(joints: Array, samples: Sequence[PoseSample], errors: Array | None = None) -> Scores:
    """The scores of ``joints`` [samples, joints, 3], or [joints, 3] for all of them, and their expected ``errors``."""
    wanted = np.stack([sample.joints for sample in samples])
    visible = np.stack([sample.visible for sample in samples])
    distances = np.linalg.norm(joints - wanted, axis=-1)[visible]
    expected = float("nan") if errors is None else float(errors[visible].mean())
    return Scores(float(distances.mean()), float((distances <= NEAR).mean()), expected)


def mean_pose(samples: Sequence[PoseSample]) -> Array:
    """The mean of each joint [joints, 3] where it is visible; of all samples where it never is."""
    joints = np.stack([sample.joints for sample in samples])
    weights = np.stack([sample.visible for sample in samples]).astype(np.float32)
    weights[:, weights.sum(axis=0) == 0] = 1.0
    mean: Array = np.asarray((joints * weights[..., None]).sum(axis=0) / weights.sum(axis=0)[:, None], np.float32)
    return mean
