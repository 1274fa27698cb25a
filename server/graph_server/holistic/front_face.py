"""One face in the whole image, followed from frame to frame, without a pose.

Sources: modules/face_landmark/face_landmark_front_cpu.pbtxt, face_detection_front_detection_to_roi.pbtxt and
modules/face_detection/face_detection.pbtxt.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from graph_server.holistic.crops import WHOLE, Bytes, crop, padded, projected
from graph_server.holistic.face import FaceMesh, region_of_face
from graph_server.holistic.networks import Network
from graph_server.holistic.regions import ImageSize, Landmarks, Region, rotation_of
from graph_server.holistic.ssd import FACE_DETECTOR, Detector, Found
from graph_server.models.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class FrontFace:
    """What one frame gave. ``detection`` is ``None`` where the face of the last frame was followed."""

    landmarks: Landmarks | None = None
    """float32 [468, 5]."""
    next_region: Region | None = None
    """The region of ``landmarks``."""
    detection: Found | None = None
    """Relative to the image."""
    detected_region: Region | None = None


class FrontFaceTracker:
    """Tracks one face. Use it from one thread at a time. With ``follow`` false, each frame is detected anew."""

    def __init__(self, detection_model: Model, landmark_model: Model) -> None:
        self._network = Network(detection_model, ("regressors", "classificators"), low=-1.0, high=1.0)
        self._detector = Detector(FACE_DETECTOR)
        self._mesh = FaceMesh(landmark_model)
        self._previous: Region | None = None
        self.follow = True

    def process(self, image: Bytes) -> FrontFace:
        """Find the face in ``image``, uint8 [h, w, 1, 3 or 4]."""
        size = (image.shape[1], image.shape[0])
        detection = detected = None
        region = self._previous if self.follow else None
        self._previous = None
        if region is None:
            detection = self._detect(image, size)
            if detection is None:
                return FrontFace()
            region = detected = _region_of_detection(detection, size)
        if region.empty:
            return FrontFace(detection=detection, detected_region=detected)
        landmarks, _ = self._mesh.process(image, region)
        if landmarks is not None:
            self._previous = region_of_face(landmarks, size)
        return FrontFace(landmarks, self._previous, detection, detected)

    def _detect(self, image: Bytes, size: ImageSize) -> Found | None:
        target = padded(WHOLE, size, (FACE_DETECTOR.side, FACE_DETECTOR.side))[0]
        crop(image, target, self._network.pixels, border=cv2.BORDER_CONSTANT)
        boxes, scores = self._network.run()
        found = self._detector.find(boxes[0], scores[0, :, 0])
        if found is None:
            return None
        points = np.zeros((2 + len(found.keypoints), 5), np.float32)
        points[:2, :2], points[2:, :2] = found.corners, found.keypoints
        points = projected(points, target)[:, :2]
        return Found(found.score, points[:2], points[2:])


def _region_of_detection(detection: Found, size: ImageSize) -> Region:
    """The box of the detection, turned so that the line between the eyes is horizontal."""
    (left, top), (right, bottom) = detection.corners.tolist()
    start, end = (tuple((detection.keypoints[eye] * size).tolist()) for eye in (0, 1))
    region = Region((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, rotation_of(start, end, 0.0))
    return region.transformed(size, scale=1.5)
