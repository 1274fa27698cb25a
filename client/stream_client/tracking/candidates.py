"""What a model proposes before thresholds and suppression."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BoxMasks:
    """``planes`` [n, h, w]: for each box how sure the model is of its parts, 0…1 (Mask R-CNN)."""

    planes: Array

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of a plane."""
        return self.planes.shape[1], self.planes.shape[2]

    def take(self, index: npt.NDArray[np.intp]) -> "BoxMasks":
        """These of them, in this order."""
        return BoxMasks(self.planes[index])

    def plane(self, index: int, rows: slice, columns: slice) -> Array:
        """A part of a plane, 0…1."""
        part: Array = self.planes[index, rows, columns]
        return part


@dataclass(frozen=True, slots=True)
class Prototypes:
    """``planes`` [m, h, w] over the model's input, and for each candidate ``weights`` [n, m] of them (YOLO, YOLACT)."""

    planes: Array
    weights: Array

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of a plane."""
        return self.planes.shape[1], self.planes.shape[2]

    def take(self, index: npt.NDArray[np.intp]) -> "Prototypes":
        """These of the candidates, in this order."""
        return Prototypes(self.planes, self.weights[index])

    def plane(self, index: int, rows: slice, columns: slice) -> Array:
        """A part of the plane of a candidate, 0…1."""
        logits = np.tensordot(self.weights[index], self.planes[:, rows, columns], 1)
        chances: Array = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        return chances


MaskTensors = BoxMasks | Prototypes


@dataclass(frozen=True, slots=True)
class Candidates:
    """``boxes`` [n, 4]: left, top, right, bottom; ``keypoints`` [n, k, 3] or ``None``: x, y, score.

    Both are in pixels of the model's input, or over its sides, 0…1, where ``relative``. ``masks`` are decoded for what
    remains only.
    """

    boxes: Array
    scores: Array
    class_ids: npt.NDArray[np.int64]
    keypoints: Array | None = None
    relative: bool = False
    masks: MaskTensors | None = None

    def take(self, index: npt.NDArray[np.intp]) -> "Candidates":
        """These of them, in this order."""
        keypoints = None if self.keypoints is None else self.keypoints[index]
        masks = None if self.masks is None else self.masks.take(index)
        return Candidates(self.boxes[index], self.scores[index], self.class_ids[index], keypoints, self.relative, masks)


def from_centres(boxes: Array) -> Array:
    """Left, top, right, bottom of boxes [n, 4] that are center x, center y, width, height."""
    half = boxes[:, 2:4] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of boxes [n, 4] and [m, 4], float32 [n, m]; 0 for boxes without area."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(opposite - corner, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - common
    share: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return share


def suppress(
    boxes: Array, scores: Array, threshold: float, groups: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.intp]:
    """Indices of the boxes that no stronger box of their group overlaps by more than ``threshold``, strongest first.

    Greedy non-maximum suppression. ``groups``, int [n], are compared among themselves only; ``None``: one group.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = boxes[order]
    rivals = overlaps(ordered, ordered) > threshold
    if groups is not None:
        rivals &= groups[order][:, None] == groups[order][None, :]
    alive = np.ones(len(order), dtype=bool)
    for index in range(len(order)):
        if alive[index]:
            alive[index + 1 :] &= ~rivals[index, index + 1 :]
    return order[alive]
