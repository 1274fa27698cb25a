"""How alike detections and tracks are."""

import numpy as np

from stream_client.tracking.candidates import Array

_FACE, _ARMS, _LEGS = (0.026, 0.025, 0.025, 0.035, 0.035), (0.079, 0.072, 0.062), (0.107, 0.087, 0.089)
_SIGMAS = np.array([*_FACE, *np.repeat(_ARMS, 2), *np.repeat(_LEGS, 2)], dtype=np.float32)
"""COCO's, of its 17 body points (cocoapi, cocoeval.py, Params.kpt_oks_sigmas)."""
_SIGMA = 0.08
_SURE = 0.3
"""The least score of a key point that counts."""


def keypoint_similarity(first: Array, second: Array, boxes: Array) -> Array:
    """COCO's object key point similarity of [n, k, 3] and [m, k, 3], float32 [n, m], 0…1.

    Points (x, y, score) that either side does not show for sure are left out; 0 where none is left. ``boxes`` [n, 4]
    give the scale.
    """
    sigmas = _SIGMAS if first.shape[1] == len(_SIGMAS) else np.full(first.shape[1], _SIGMA, np.float32)
    areas = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1e-6)
    apart = ((first[:, None, :, :2] - second[None, :, :, :2]) ** 2).sum(axis=3)
    sure = (first[:, None, :, 2] >= _SURE) & (second[None, :, :, 2] >= _SURE)
    alike = np.exp(-apart / (2 * areas[:, None, None] * (2 * sigmas) ** 2)) * sure
    count = sure.sum(axis=2)
    similarity: Array = np.divide(alike.sum(axis=2), count, out=np.zeros(count.shape, np.float32), where=count > 0)
    return similarity
