"""Pose: detection, landmarks, refinement, smoothing.

Sources: modules/pose_detection/pose_detection_cpu.pbtxt, modules/pose_landmark/*.pbtxt,
calculators/util/refine_landmarks_from_heatmap_calculator.cc.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.holistic.crops import WHOLE, Bytes, crop, padded, projected, turned, unpadded
from graph_server.holistic.networks import Network, sigmoid
from graph_server.holistic.regions import ImageSize, Landmarks, Region, region_from_alignment_points
from graph_server.holistic.smoothing import LandmarkSmoother, WorldSmoother
from graph_server.holistic.ssd import POSE_DETECTOR, Detector
from graph_server.holistic.stillness import CALM, Stillness
from graph_server.models.model import Model

Array = npt.NDArray[np.float32]

BODY = 33
AUXILIARY = slice(33, 35)
_SIDE = 256
_REGION_SCALE = 1.25


class PoseDetector:
    """Detects persons in a whole image. Use it from one thread at a time.

    An empty scene is equal from frame to frame where video is encoded: then the network does not run.
    """

    def __init__(self, model: Model) -> None:
        self._network = Network(model, ("Identity", "Identity_1"), low=-1.0, high=1.0, remembers=True)
        self._detector = Detector(POSE_DETECTOR)

    def detect(self, image: Bytes) -> Array | None:
        """The 4 keypoints of the best person, float32 [4, 2], relative to the image, or ``None``."""
        found = self.detect_all(image, most=1)
        return found[0] if found else None

    def detect_all(self, image: Bytes, most: int, view: Region = WHOLE) -> list[Array]:
        """The keypoints of up to ``most`` persons in a part of the image, best first, relative to the image."""
        size = (image.shape[1], image.shape[0])
        side = POSE_DETECTOR.side
        region, padding = padded(view, size, (side, side))
        crop(image, region, self._network.pixels, border=cv2.BORDER_CONSTANT)
        boxes, scores = self._network.run()
        found = self._detector.find_all(boxes[0], scores[0, :, 0], most)
        points = [unpadded(_as_landmarks(each.keypoints), padding) for each in found]
        return [(each if view is WHOLE else projected(each, view))[:, :2] for each in points]


def region_of(points: Array, size: ImageSize) -> Region:
    """The region of a person, from two points: the hip center, and a point on the circle around the body.

    The points are a detection's keypoints or, for the next frame, the auxiliary landmarks. The person is upright in
    the region.
    """
    return alignment_region(points, size).transformed(size, scale=_REGION_SCALE)


def alignment_region(points: Array, size: ImageSize) -> Region:
    """The region of two points before it is enlarged. Smoothing takes it as the size of the object."""
    first, second = ((float(x), float(y)) for x, y in points[:2, :2])
    return region_from_alignment_points(first, second, size, target_degrees=90)


def landmarks_of_tensor(tensor: Array) -> Landmarks:
    """Landmarks [39, 5] from the raw tensor [1, 195].

    x, y and z are divided by the crop's side. Visibility and presence go through the sigmoid.
    """
    values = tensor.reshape(-1, 5)
    landmarks = np.empty((values.shape[0], 5), np.float32)
    landmarks[:, :3] = values[:, :3] / np.float32(_SIDE)
    landmarks[:, 3:] = sigmoid(values[:, 3:])
    return landmarks


def refined(landmarks: Landmarks, heatmap: Array, *, kernel: int = 7, confidence: float = 0.5) -> Landmarks:
    """Landmarks with x and y moved to the center of mass of the heat map around them, if the heat map is confident.

    ``heatmap`` holds logits, [1, rows, columns, n].
    """
    rows, columns, count = heatmap.shape[1:]
    # A cast in C++ rounds towards zero, so a point just left of the image is still in column 0.
    column = np.trunc(_limited(landmarks[:, 0] * columns, columns)).astype(np.intp)
    row = np.trunc(_limited(landmarks[:, 1] * rows, rows)).astype(np.intp)
    offset = np.arange(kernel) - (kernel - 1) // 2
    at_row, at_column = (row[:, None] + offset)[:, :, None], (column[:, None] + offset)[:, None]
    inside = (at_row >= 0) & (at_row < rows) & (at_column >= 0) & (at_column < columns)
    cell = at_row.clip(0, rows - 1) * columns + at_column.clip(0, columns - 1)
    logits = heatmap.reshape(-1)[cell * count + np.arange(count)[:, None, None]]  # one index is faster than three
    weights = np.where(inside, sigmoid(logits), 0.0)
    total = weights.sum(axis=(1, 2))
    use = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    use &= (weights.max(axis=(1, 2)) >= confidence) & (total > 0)
    total = np.where(use, total, 1.0)
    result = landmarks.copy()
    result[use, 0] = ((weights * at_column).sum(axis=(1, 2)) / columns / total)[use]
    result[use, 1] = ((weights * at_row).sum(axis=(1, 2)) / rows / total)[use]
    return result


def _limited(positions: Array, count: int) -> Array:
    """Positions outside of the heat map and NaN become -1 or ``count``, which are outside as well."""
    return np.clip(np.nan_to_num(positions, nan=-1.0), -1.0, count)


def world_landmarks(tensor: Array, visibility_from: Landmarks, region: Region) -> Landmarks:
    """World landmarks of the body [33, 5], in meters, from the raw tensor [1, 117], rotated like the region."""
    result = np.empty((BODY, 5), np.float32)
    result[:, :3] = turned(tensor.reshape(-1, 3)[:BODY], region.rotation)
    result[:, 3:] = visibility_from[:BODY, 3:]
    return result


@dataclass(frozen=True, slots=True)
class Pose:
    """A person: body landmarks [33, 5], auxiliary landmarks [2, 5], world landmarks [33, 5].

    ``raw`` is the network's own tensor of landmarks, float32 [1, 195], in pixels of its crop: what classifiers take.
    ``presence`` is the network's score, 0…1. A pose of other nodes has neither.
    """

    landmarks: Landmarks
    auxiliary: Landmarks
    world: Landmarks
    raw: Array | None = None
    presence: float = 1.0


class PoseSmoother:
    """Smooths poses over time, with MediaPipe's constants (pose_landmark_filtering.pbtxt)."""

    def __init__(self) -> None:
        self._landmarks = LandmarkSmoother(min_cutoff=0.05, beta=80.0)
        self._auxiliary = LandmarkSmoother(min_cutoff=0.01, beta=10.0)
        self._world = WorldSmoother()

    def lost(self) -> None:
        """The pose was lost in this frame, so start again."""
        self._landmarks.reset()
        self._auxiliary.reset()

    def apply(self, pose: Pose, size: ImageSize, timestamp: int) -> Pose:
        """The smoothed pose. ``timestamp`` is in µs."""
        raw = alignment_region(pose.auxiliary, size)
        scale = (raw.width * size[0] + raw.height * size[1]) / 2
        return Pose(
            self._landmarks.apply(pose.landmarks, size, scale, timestamp),
            self._auxiliary.apply(pose.auxiliary, size, scale, timestamp),
            self._world.apply(pose.world, timestamp),
            pose.raw,
            pose.presence,
        )


class NoPoseSmoother(PoseSmoother):
    """Does not smooth: poses stay as they are."""

    @override
    def apply(self, pose: Pose, size: ImageSize, timestamp: int) -> Pose:
        return pose


class PoseEstimator:
    """Finds the landmarks of one person in a region. Use it from one thread at a time.

    ``kernel`` is the side of the square in the heat map that refines a landmark. MediaPipe's module has 7.
    """

    def __init__(self, model: Model, *, kernel: int = 7) -> None:
        self._kernel = kernel
        self._network = Network(model, ("Identity", "Identity_1", "Identity_3", "Identity_4"))

    def estimate(self, image: Bytes, region: Region) -> Pose | None:
        """The pose without smoothing, or ``None`` if there is no person."""
        if region.empty:
            return None
        size = (image.shape[1], image.shape[0])
        target, padding = padded(region, size, (_SIDE, _SIDE))
        crop(image, target, self._network.pixels)
        tensor, presence, heatmap, world = self._network.run()
        finite = np.isfinite(tensor).all() and np.isfinite(world).all()
        score = float(presence.reshape(-1)[0])
        if not (score >= 0.5 and finite):
            return None
        landmarks = refined(landmarks_of_tensor(tensor), heatmap, kernel=self._kernel)
        on_image = projected(unpadded(landmarks, padding), region)
        turned_world = world_landmarks(world, landmarks, region)
        return Pose(on_image[:BODY], on_image[AUXILIARY], turned_world, tensor.reshape(1, -1).copy(), score)


class PoseTracker:
    """Tracks one person and smooths the pose.

    The region comes from the last frame, or from the detector if there was no person. Without ``follow`` the detector
    runs in every frame. Where nothing moves around the person, a pose holds for at most ``still`` frames.
    """

    def __init__(
        self,
        detector: PoseDetector,
        estimator: PoseEstimator,
        smoother: PoseSmoother,
        *,
        follow: bool = True,
        still: int = 0,
    ) -> None:
        self._detector = detector
        self._estimator = estimator
        self._smoother = smoother
        self._follow = follow
        self._region: Region | None = None
        self._still = Stillness(still, CALM)
        self._last: tuple[Pose, Region] | None = None

    def process(self, image: Bytes, timestamp: int) -> tuple[Pose, Region] | None:
        """The pose of a frame, and its region for drawing and for the next frame. ``None`` without a person.

        A pose that holds is the very same object.
        """
        if not self._still.holds(image):
            self._last = self._look(image, timestamp)
            self._still.looked(image, None if self._last is None else self._last[1])
        return self._last

    def _look(self, image: Bytes, timestamp: int) -> tuple[Pose, Region] | None:
        size = (image.shape[1], image.shape[0])
        region = self._region
        if region is None:
            points = self._detector.detect(image)
            region = None if points is None else region_of(points, size)
        raw = None if region is None else self._estimator.estimate(image, region)
        if raw is None:
            self._smoother.lost()
            self._region = None
            return None
        pose = self._smoother.apply(raw, size, timestamp)
        found = region_of(pose.auxiliary, size)
        self._region = found if self._follow else None
        return pose, found


def _as_landmarks(points: Array) -> Landmarks:
    landmarks = np.zeros((len(points), 5), np.float32)
    landmarks[:, :2] = points
    return landmarks
