"""MediaPipe's pose subgraphs. Each is one calculator here."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from graph_server.calculators.boxes import keypoints_of
from graph_server.calculators.registry import REGISTRY
from graph_server.calculators.skipping import skipping_of
from graph_server.errors import ConfigError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import RefineLandmarksFromHeatmapCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import (
    DETECTION,
    IMAGE_FRAME,
    LANDMARKS,
    NORM_LANDMARKS,
    NORM_RECT,
    SIZE,
    vector_of,
)
from graph_server.holistic.pose import (
    NoPoseSmoother,
    Pose,
    PoseDetector,
    PoseEstimator,
    PoseSmoother,
    PoseTracker,
    region_of,
)


@REGISTRY.register("PoseLandmarkCpu")
class PoseLandmarks(Calculator):
    """The pose of one person, tracked from frame to frame.

    ``RefineLandmarksFromHeatmapCalculatorOptions`` on this node replace the options of the subgraph. The side packets
    ``SMOOTH_LANDMARKS`` and ``USE_PREV_LANDMARKS`` work. Others have no effect: OVMS has only one model, for every
    ``MODEL_COMPLEXITY``.
    """

    stateful = True
    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(
        optional={
            "LANDMARKS": NORM_LANDMARKS,
            "WORLD_LANDMARKS": LANDMARKS,
            "ROI_FROM_LANDMARKS": NORM_RECT,
            "DETECTION": DETECTION,
        }
    )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        models = services.models
        refinement = node.options.get(RefineLandmarksFromHeatmapCalculatorOptions)
        kernel = 7 if refinement is None else refinement.kernel_size
        self._detector = PoseDetector(models.get("pose_detection"))
        self._estimator = PoseEstimator(models.get("pose_landmark_full"), kernel=kernel)
        self._still = skipping_of(node).still

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        smoother = _smoother(side_packets.get("SMOOTH_LANDMARKS"))
        follow = side_packets.get("USE_PREV_LANDMARKS") is not False
        self._tracker = PoseTracker(self._detector, self._estimator, smoother, follow=follow, still=self._still)
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        found = self._tracker.process(inputs[0], timestamp)
        if found is None:
            return NOTHING
        pose, region = found
        values = {"LANDMARKS": pose.landmarks, "WORLD_LANDMARKS": pose.world, "ROI_FROM_LANDMARKS": region}
        return [values.get(port.tag) for port in self.node.outputs]


@REGISTRY.register("PoseDetectionCpu")
class PoseDetection(Calculator):
    """Detects the pose in the whole image. Gives a list with the best detection, or no packet."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(required={"DETECTIONS": vector_of(DETECTION)})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._detector = PoseDetector(services.models.get("pose_detection"))

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        points = self._detector.detect(inputs[0])
        return NOTHING if points is None else ([points],)


@REGISTRY.register("PoseDetectionToRoi", "PoseLandmarksToRoi")
class PoseRegion(Calculator):
    """The region of the pose, from two keypoints of a detection or from the two auxiliary landmarks."""

    inputs = Ports(required={"IMAGE_SIZE": SIZE}, optional={"DETECTION": DETECTION, "LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(required={"ROI": NORM_RECT})
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        wanted = "DETECTION" if node.calculator == "PoseDetectionToRoi" else "LANDMARKS"
        if sorted(port.tag for port in node.inputs) != sorted([wanted, "IMAGE_SIZE"]):
            raise ConfigError(f"{node.calculator} needs input streams {wanted} and IMAGE_SIZE")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._size = node.input_index("IMAGE_SIZE") or 0
        self._points = 1 - self._size

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        points, size = inputs[self._points], inputs[self._size]
        return NOTHING if points is None or size is None else (region_of(keypoints_of(points), size),)


@REGISTRY.register("PoseLandmarkFiltering")
class PoseLandmarkFiltering(Calculator):
    """Smooths a pose over time. It starts again after the pose was lost."""

    stateful = True
    inputs = Ports(
        required={
            "IMAGE_SIZE": SIZE,
            "NORM_LANDMARKS": NORM_LANDMARKS,
            "AUX_NORM_LANDMARKS": NORM_LANDMARKS,
            "WORLD_LANDMARKS": LANDMARKS,
        }
    )
    outputs = Ports(
        optional={
            "FILTERED_NORM_LANDMARKS": NORM_LANDMARKS,
            "FILTERED_AUX_NORM_LANDMARKS": NORM_LANDMARKS,
            "FILTERED_WORLD_LANDMARKS": LANDMARKS,
        }
    )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._places = [node.input_index(tag) or 0 for tag in self.inputs.required]

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        self._smoother = _smoother(side_packets.get("ENABLE"))
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        size, landmarks, auxiliary, world = (inputs[place] for place in self._places)
        if landmarks is None:
            self._smoother.lost()
            return NOTHING
        pose = self._smoother.apply(Pose(landmarks, auxiliary, world), size, timestamp)
        values = {
            "FILTERED_NORM_LANDMARKS": pose.landmarks,
            "FILTERED_AUX_NORM_LANDMARKS": pose.auxiliary,
            "FILTERED_WORLD_LANDMARKS": pose.world,
        }
        return [values[port.tag] for port in self.node.outputs]


def _smoother(wanted: bool | None) -> PoseSmoother:
    """The smoother for a side packet. ``None``, no side packet, also smooths."""
    return NoPoseSmoother() if wanted is False else PoseSmoother()
