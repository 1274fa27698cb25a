"""Hands, face and the whole of holistic, each subgraph as one calculator."""

from collections.abc import Mapping, Sequence
from typing import Any

from graph_server.calculators.registry import REGISTRY
from graph_server.graph.calculator import Calculator, Ports, Services
from graph_server.graph.node import Node
from graph_server.holistic.face import FaceTracker
from graph_server.holistic.hands import LEFT, RIGHT, HandTracker
from graph_server.holistic.pose import PoseDetector, PoseEstimator, PoseTracker


@REGISTRY.register("HandLandmarksLeftAndRightCpu")
class HandLandmarks(Calculator):
    """Both hands, found from the pose."""

    inputs = Ports(required=("IMAGE", "POSE_LANDMARKS"))
    outputs = Ports(optional=("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        recrop, landmark = services.models.get("hand_recrop"), services.models.get("hand_landmark_full")
        wanted = {"LEFT_HAND_LANDMARKS": LEFT, "RIGHT_HAND_LANDMARKS": RIGHT}
        self._trackers = [HandTracker(wanted[port.tag], recrop, landmark) for port in node.outputs]
        self._image = node.input_index("IMAGE") or 0
        self._pose = node.input_index("POSE_LANDMARKS") or 0

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Follow."""
        image, pose = inputs[self._image], inputs[self._pose]
        return [None if image is None else tracker.process(image, pose) for tracker in self._trackers]


@REGISTRY.register("FaceLandmarksFromPoseCpu")
class FaceLandmarks(Calculator):
    """The face, found from the pose."""

    inputs = Ports(required=("IMAGE", "FACE_LANDMARKS_FROM_POSE"))
    outputs = Ports(required=("FACE_LANDMARKS",))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        models = services.models
        self._tracker = FaceTracker(models.get("face_detection"), models.get("face_landmark"))
        self._image = node.input_index("IMAGE") or 0
        self._pose = node.input_index("FACE_LANDMARKS_FROM_POSE") or 0

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Follow."""
        image = inputs[self._image]
        return (None if image is None else self._tracker.process(image, inputs[self._pose]),)


@REGISTRY.register("HolisticLandmarkCpu")
class HolisticLandmarks(Calculator):
    """Pose, hands and face of one person; only what has an output is computed.

    ``RefineLandmarksFromHeatmapCalculatorOptions`` on this node replace those of the subgraph.
    """

    inputs = Ports(required=("IMAGE",))
    outputs = Ports(
        optional=(
            "POSE_LANDMARKS",
            "POSE_WORLD_LANDMARKS",
            "POSE_ROI",
            "POSE_DETECTION",
            "FACE_LANDMARKS",
            "LEFT_HAND_LANDMARKS",
            "RIGHT_HAND_LANDMARKS",
        )
    )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        models = services.models
        tags = {port.tag for port in node.outputs}
        refinement = node.options.get("RefineLandmarksFromHeatmapCalculatorOptions")
        kernel = 7 if refinement is None else refinement.kernel_size
        self._pose = PoseTracker(
            PoseDetector(models.get("pose_detection")),
            PoseEstimator(models.get("pose_landmark_full"), kernel=kernel),
        )
        self._hands: Mapping[str, HandTracker] = {
            tag: HandTracker(hand, models.get("hand_recrop"), models.get("hand_landmark_full"))
            for tag, hand in (("LEFT_HAND_LANDMARKS", LEFT), ("RIGHT_HAND_LANDMARKS", RIGHT))
            if tag in tags
        }
        self._face = None
        if "FACE_LANDMARKS" in tags:
            self._face = FaceTracker(models.get("face_detection"), models.get("face_landmark"))

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Follow."""
        image = inputs[0]
        found = self._pose.process(image, timestamp)
        pose = None if found is None else found[0].landmarks
        values: dict[str, Any] = {
            "POSE_LANDMARKS": pose,
            "POSE_WORLD_LANDMARKS": None if found is None else found[0].world,
            "POSE_ROI": None if found is None else found[1],
        }
        for tag, tracker in self._hands.items():
            values[tag] = tracker.process(image, pose)
        if self._face is not None:
            values["FACE_LANDMARKS"] = self._face.process(image, pose)
        return [values.get(port.tag) for port in self.node.outputs]
