"""Face landmarks: short-range detection in the region that the pose gives, tracking, face mesh.

Sources: modules/holistic_landmark/face_*.pbtxt, modules/face_detection/face_detection*.pbtxt,
modules/face_landmark/face_landmark_cpu.pbtxt.
"""

import cv2
import numpy as np

from graph_server.holistic.crops import Bytes, crop, padded, projected
from graph_server.holistic.frame_skipping import EVERY_FRAME, TRUSTED_FACE, FrameSkipping, Schedule
from graph_server.holistic.networks import Network, sigmoid
from graph_server.holistic.regions import FACE_TRACKING, ImageSize, Landmarks, Region, may_keep, region_from_box
from graph_server.holistic.ssd import FACE_DETECTOR, Detector
from graph_server.holistic.stillness import Stillness
from graph_server.models.model import Model

_POINTS = 468
_SIDE = 192
_POSE_FACE = slice(0, 11)


class FaceMesh:
    """The network that finds the landmarks of a face in its region. Not thread-safe."""

    def __init__(self, model: Model) -> None:
        self._network = Network(model, ("conv2d_21", "conv2d_31"))

    def process(self, image: Bytes, region: Region) -> tuple[Landmarks | None, float]:
        """The landmarks [468, 5] in a ``region`` that is not empty, and the score of presence.

        The landmarks are ``None`` below 0.5.
        """
        crop(image, region, self._network.pixels)
        tensor, logit = self._network.run()
        presence = float(sigmoid(float(logit.reshape(-1)[0])))
        if not (presence >= 0.5 and np.isfinite(tensor).all()):
            return None, presence
        landmarks = np.zeros((_POINTS, 5), np.float32)
        landmarks[:, :3] = tensor.reshape(_POINTS, 3) / np.float32(_SIDE)
        return projected(landmarks, region), presence


class FaceTracker:
    """Tracks one face. Use it from one thread at a time."""

    def __init__(self, detection_model: Model, landmark_model: Model, skipping: FrameSkipping = EVERY_FRAME) -> None:
        self._schedule = Schedule(skipping)
        detected = ("regressors", "classificators")
        self._detection = Network(detection_model, detected, low=-1.0, high=1.0)
        self._detector = Detector(FACE_DETECTOR)
        self._mesh = FaceMesh(landmark_model)
        self._previous: Landmarks | None = None
        self._still = Stillness(skipping.still)

    def process(self, image: Bytes, pose: Landmarks | None) -> Landmarks | None:
        """The face's landmarks [468, 5], or ``None`` if it is not found. ``pose`` has at least the points 0…10.

        Where ``pose`` is the very same object as before, and nothing moves around the face, so are its landmarks.
        """
        if self._still.holds(image, pose):
            return self._previous
        if pose is None:
            self._previous = None
            self._schedule.restart()
            self._still.looked(image, None)
            return None
        size = (image.shape[1], image.shape[0])
        region = self._region(image, pose[_POSE_FACE], size)
        self._previous = None if region is None else self._landmarks(image, region)
        if region is not None:
            self._still.looked(image, region)
        return self._previous

    def _region(self, image: Bytes, pose: Landmarks, size: ImageSize) -> Region | None:
        if not self._schedule.due(followed=self._previous is not None):
            return None if self._previous is None else region_of_face(self._previous, size)
        rough = region_from_box(pose, size, start=5, end=2).transformed(size, scale=3.0)
        if rough.empty:
            return None
        side = FACE_DETECTOR.side
        target = padded(rough, size, (side, side))[0]
        crop(image, target, self._detection.pixels, border=cv2.BORDER_CONSTANT)
        boxes, scores = self._detection.run()
        points = self._detector.best(boxes[0], scores[0, :, 0])
        if points is None:
            self._schedule.ran(0.0)
            return None
        keypoints = np.zeros((len(points), 5), np.float32)
        keypoints[:, :2] = points
        current = region_from_box(projected(keypoints, target), size, start=0, end=1)
        current = current.transformed(size, scale=2.0, shift_y=-0.1)
        if self._previous is None:
            return current
        last = region_of_face(self._previous, size)
        if not may_keep(last, self._previous, current, size, FACE_TRACKING):
            return current
        self._schedule.skip(TRUSTED_FACE)
        return last

    def _landmarks(self, image: Bytes, region: Region) -> Landmarks | None:
        if region.empty:
            return None
        landmarks, presence = self._mesh.process(image, region)
        self._schedule.ran(presence)
        return landmarks


def region_of_face(landmarks: Landmarks, size: ImageSize) -> Region:
    """The region in which the next frame's face is looked for."""
    return region_from_box(landmarks, size, start=33, end=263).transformed(size, scale=1.5)
