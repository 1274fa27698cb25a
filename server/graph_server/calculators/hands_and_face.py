"""Parts of the subgraphs HandLandmarksLeftAndRightCpu and FaceLandmarksFromPoseCpu, for graphs that name each node.

Sources: modules/holistic_landmark/{hand,face}_*.pbtxt,
modules/holistic_landmark/calculators/roi_tracking_calculator.cc,
modules/face_detection/face_detection_short_range_by_roi_cpu.pbtxt.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from typing_extensions import override

from graph_server.calculators.boxes import keypoints_of
from graph_server.calculators.registry import REGISTRY
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import RoiTrackingCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import (
    BOOL,
    DETECTION,
    IMAGE_FRAME,
    NORM_LANDMARKS,
    NORM_RECT,
    SIZE,
    vector_of,
)
from graph_server.holistic.crops import crop, padded, projected
from graph_server.holistic.networks import Network
from graph_server.holistic.regions import (
    ImageSize,
    Landmarks,
    Region,
    TrackingRule,
    hand_region_from_landmarks,
    hand_region_from_pose,
    may_keep,
    region_from_alignment_points,
    region_from_box,
)
from graph_server.holistic.ssd import FACE_DETECTOR, Detector

_MIN_VISIBILITY = 0.1
_RECROP_SIDE = 256


@REGISTRY.register("HandVisibilityFromHandLandmarksFromPose")
class HandVisibility(Calculator):
    """Whether the hand's wrist is visible. It is the first of the three landmarks in the input."""

    inputs = Ports(required={"HAND_LANDMARKS_FROM_POSE": NORM_LANDMARKS})
    outputs = Ports(required={"VISIBILITY": BOOL})

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        return (bool(inputs[0][0, 3] > _MIN_VISIBILITY),)


class _RegionOf(Calculator):
    """A region from landmarks or from a detection's keypoints."""

    source: str
    outputs = Ports(required={"ROI": NORM_RECT})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._points = node.input_index(self.source) or 0
        self._size = node.input_index("IMAGE_SIZE") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        points, size = inputs[self._points], inputs[self._size]
        return NOTHING if points is None or not len(points) or size is None else (self.region(points, size),)

    def region(self, points: Any, size: ImageSize) -> Region:
        """The region of ``points``, [n, 2 or more] in 0…1, in an image of ``size``."""
        raise NotImplementedError


@REGISTRY.register("HandWristForPose")
class HandWristForPose(Calculator):
    """Gives a hand's wrist as a landmark of the pose, with full visibility."""

    inputs = Ports(required={"HAND_LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(required={"WRIST_LANDMARK": NORM_LANDMARKS})
    brief = True

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        wrist = inputs[0][:1].copy()
        wrist[:, 3] = 100.0
        return (wrist,)


@REGISTRY.register("HandLandmarksFromPoseToRecropRoi")
class HandRegionFromPose(_RegionOf):
    """The hand's region from wrist, pinky and index finger of the pose."""

    source = "HAND_LANDMARKS_FROM_POSE"
    inputs = Ports(required={"HAND_LANDMARKS_FROM_POSE": NORM_LANDMARKS, "IMAGE_SIZE": SIZE})

    @override
    def region(self, points: Any, size: ImageSize) -> Region:
        return hand_region_from_pose(points[0], points[1], points[2], size).transformed(size, scale=2.7, shift_y=-0.1)


@REGISTRY.register("HandLandmarksToRoi")
class HandRegionFromLandmarks(_RegionOf):
    """The hand's region from its own landmarks."""

    source = "LANDMARKS"
    inputs = Ports(required={"LANDMARKS": NORM_LANDMARKS, "IMAGE_SIZE": SIZE})

    @override
    def region(self, points: Any, size: ImageSize) -> Region:
        return hand_region_from_landmarks(points, size).transformed(size, scale=2.0, shift_y=-0.1)


@REGISTRY.register("FaceLandmarksFromPoseToRecropRoi")
class FaceRegionFromPose(_RegionOf):
    """The face's region from the eleven face points of the pose."""

    source = "FACE_LANDMARKS_FROM_POSE"
    inputs = Ports(required={"FACE_LANDMARKS_FROM_POSE": NORM_LANDMARKS, "IMAGE_SIZE": SIZE})

    @override
    def region(self, points: Any, size: ImageSize) -> Region:
        return region_from_box(points, size, start=5, end=2).transformed(size, scale=3.0)


@REGISTRY.register("FaceDetectionFrontDetectionsToRoi")
class FaceRegionFromDetection(_RegionOf):
    """The face's region from the keypoints of the first detection."""

    source = "DETECTIONS"
    inputs = Ports(required={"DETECTIONS": vector_of(DETECTION), "IMAGE_SIZE": SIZE})

    @override
    def region(self, points: Any, size: ImageSize) -> Region:
        keypoints = keypoints_of(points[0])
        return region_from_box(keypoints, size, start=0, end=1).transformed(size, scale=2.0, shift_y=-0.1)


@REGISTRY.register("FaceLandmarksToRoi")
class FaceRegionFromLandmarks(_RegionOf):
    """The face's region from its own landmarks."""

    source = "LANDMARKS"
    inputs = Ports(required={"LANDMARKS": NORM_LANDMARKS, "IMAGE_SIZE": SIZE})

    @override
    def region(self, points: Any, size: ImageSize) -> Region:
        return region_from_box(points, size, start=33, end=263).transformed(size, scale=1.5)


class _Regional(Calculator):
    """Runs a network on a region of the image."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME, "ROI": NORM_RECT})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._image = node.input_index("IMAGE") or 0
        self._region = node.input_index("ROI") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image, region = inputs[self._image], inputs[self._region]
        if image is None or region is None or region.empty:
            return NOTHING
        found = self.process_region(image, region)
        return NOTHING if found is None else (found,)

    def process_region(self, image: Any, region: Region) -> Any:
        """The result for the region, or ``None``."""
        raise NotImplementedError


@REGISTRY.register("HandRecropByRoiCpu")
class HandRecrop(_Regional):
    """A better region of a hand. A network finds it in the rough region."""

    outputs = Ports(required={"HAND_ROI_FROM_RECROP": NORM_RECT})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._network = Network(services.models.get("hand_recrop"), ("output_crop",))

    @override
    def process_region(self, image: Any, region: Region) -> Region:
        """The region from the hand's center and edge, which the network gives."""
        size = (image.shape[1], image.shape[0])
        crop(image, padded(region, size, (_RECROP_SIDE, _RECROP_SIDE))[0], self._network.pixels)
        (points,) = self._network.run()
        landmarks = np.zeros((2, 5), np.float32)
        landmarks[:, :2] = points.reshape(2, 2) / _RECROP_SIDE
        center, edge = ((float(x), float(y)) for x, y in projected(landmarks, region)[:, :2])
        return region_from_alignment_points(center, edge, size, target_degrees=-90).transformed(
            size, scale=1.0, shift_y=-0.1
        )


@REGISTRY.register("FaceDetectionShortRangeByRoiCpu")
class FaceDetection(_Regional):
    """Detects faces in a region. Gives a list with the keypoints of the best one, or no packet."""

    outputs = Ports(required={"DETECTIONS": vector_of(DETECTION)})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        model = services.models.get("face_detection")
        self._network = Network(model, ("regressors", "classificators"), low=-1.0, high=1.0)
        self._detector = Detector(FACE_DETECTOR)

    @override
    def process_region(self, image: Any, region: Region) -> list[Landmarks] | None:
        """The keypoints on the image, float32 [6, 5]."""
        size = (image.shape[1], image.shape[0])
        target = padded(region, size, (FACE_DETECTOR.side, FACE_DETECTOR.side))[0]
        crop(image, target, self._network.pixels, border=cv2.BORDER_CONSTANT)
        boxes, scores = self._network.run()
        points = self._detector.best(boxes[0], scores[0, :, 0])
        if points is None:
            return None
        keypoints = np.zeros((len(points), 5), np.float32)
        keypoints[:, :2] = points
        return [projected(keypoints, target)]


@REGISTRY.register("RoiTrackingCalculator")
class RoiTracking(Calculator):
    """The region of the last frame's landmarks if it fits the current region, else the current region."""

    inputs = Ports(
        required={
            "PREV_LANDMARKS": NORM_LANDMARKS,
            "PREV_LANDMARKS_RECT": NORM_RECT,
            "RECROP_RECT": NORM_RECT,
            "IMAGE_SIZE": SIZE,
        }
    )
    outputs = Ports(required={"TRACKING_RECT": NORM_RECT})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.needed(RoiTrackingCalculatorOptions)
        rect = options.rect_requirements
        self._rule = TrackingRule(
            rect.rotation_degrees,
            rect.translation,
            rect.scale,
            options.landmarks_requirements.recrop_rect_margin,
        )
        self._places = [node.input_index(tag) or 0 for tag in self.inputs.required]

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        landmarks, previous, current, size = (inputs[place] for place in self._places)
        if current is None:
            return NOTHING
        if previous is None or landmarks is None:
            return (current,)
        return (previous if may_keep(previous, landmarks, current, size, self._rule) else current,)
