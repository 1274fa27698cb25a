"""Calculators for hands and face, and the holistic subgraph."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.calculators.skipping import skipping_of
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services, Subgraph
from graph_server.graph.node import Node, Port
from graph_server.graph.packet_types import DETECTION, IMAGE_FRAME, LANDMARKS, NORM_LANDMARKS, NORM_RECT
from graph_server.holistic.face import FaceTracker
from graph_server.holistic.hands import LEFT, RIGHT, Hand, HandTracker


class _HandLandmarks(Calculator):
    hand: ClassVar[Hand]
    stateful = True
    slack = 1  # the next frame's pose must start first: it needs this frame's pose, and hands and face need a pose
    inputs = Ports(required={"IMAGE": IMAGE_FRAME, "POSE_LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(required={"HAND_LANDMARKS": NORM_LANDMARKS})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        models = services.models
        self._tracker = HandTracker(
            self.hand, models.get("hand_recrop"), models.get("hand_landmark_full"), skipping_of(node)
        )
        self._image = node.input_index("IMAGE") or 0
        self._pose = node.input_index("POSE_LANDMARKS") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[self._image]
        return NOTHING if image is None else (self._tracker.process(image, inputs[self._pose]),)


@REGISTRY.register("LeftHandLandmarksFromPose")
class LeftHandLandmarks(_HandLandmarks):
    """Landmarks of the left hand. The pose gives its region."""

    hand = LEFT


@REGISTRY.register("RightHandLandmarksFromPose")
class RightHandLandmarks(_HandLandmarks):
    """Landmarks of the right hand. The pose gives its region."""

    hand = RIGHT


@REGISTRY.subgraph("HandLandmarksLeftAndRightCpu")
class HandLandmarksLeftAndRight(Subgraph):
    """Landmarks of both hands. Each hand has its own node, so the hands run in parallel."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME, "POSE_LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(optional={"LEFT_HAND_LANDMARKS": NORM_LANDMARKS, "RIGHT_HAND_LANDMARKS": NORM_LANDMARKS})

    @classmethod
    @override
    def nodes(cls, node: Node) -> Sequence[Node]:
        calculators = {
            "LEFT_HAND_LANDMARKS": "LeftHandLandmarksFromPose",
            "RIGHT_HAND_LANDMARKS": "RightHandLandmarksFromPose",
        }
        return [
            _part(node, calculators[port.tag], node.inputs, [Port("HAND_LANDMARKS", 0, port.name)])
            for port in node.outputs
        ]


@REGISTRY.register("FaceLandmarksFromPoseCpu")
class FaceLandmarks(Calculator):
    """Landmarks of the face. The pose gives its region."""

    stateful = True
    inputs = Ports(required={"IMAGE": IMAGE_FRAME, "FACE_LANDMARKS_FROM_POSE": NORM_LANDMARKS})
    outputs = Ports(required={"FACE_LANDMARKS": NORM_LANDMARKS})
    slack = _HandLandmarks.slack

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        models = services.models
        self._tracker = FaceTracker(models.get("face_detection"), models.get("face_landmark"), skipping_of(node))
        self._image = node.input_index("IMAGE") or 0
        self._pose = node.input_index("FACE_LANDMARKS_FROM_POSE") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[self._image]
        return NOTHING if image is None else (self._tracker.process(image, inputs[self._pose]),)


@REGISTRY.subgraph("HolisticLandmarkCpu")
class HolisticLandmarks(Subgraph):
    """Pose, hands and face of one person. It only computes parts that have an output stream.

    ``RefineLandmarksFromHeatmapCalculatorOptions`` on this node replace the options of the pose. With
    ``HolisticFrameSkippingOptions``, which are ours, the networks of hands and face skip frames, and all
    of them where nothing moves.
    """

    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(
        optional={
            "POSE_LANDMARKS": NORM_LANDMARKS,
            "WORLD_LANDMARKS": LANDMARKS,
            "POSE_ROI": NORM_RECT,
            "POSE_DETECTION": DETECTION,
            "FACE_LANDMARKS": NORM_LANDMARKS,
            "LEFT_HAND_LANDMARKS": NORM_LANDMARKS,
            "RIGHT_HAND_LANDMARKS": NORM_LANDMARKS,
        }
    )

    @classmethod
    @override
    def nodes(cls, node: Node) -> Sequence[Node]:
        streams = {port.tag: port.name for port in node.outputs}
        image = Port("IMAGE", 0, node.inputs[0].name)
        pose = streams.get("POSE_LANDMARKS", f"{node.name.lower()}__pose_landmarks")
        of_pose = [Port("LANDMARKS", 0, pose)] + [
            Port(inner, 0, streams[tag])
            for tag, inner in (
                ("WORLD_LANDMARKS", "WORLD_LANDMARKS"),
                ("POSE_ROI", "ROI_FROM_LANDMARKS"),
                ("POSE_DETECTION", "DETECTION"),
            )
            if tag in streams
        ]
        nodes = [replace(_part(node, "PoseLandmarkCpu", [image], of_pose), input_side_packets=node.input_side_packets)]
        hands = [port for port in node.outputs if port.tag.endswith("HAND_LANDMARKS")]
        if hands:
            from_pose = [image, Port("POSE_LANDMARKS", 0, pose)]
            nodes.append(_part(node, "HandLandmarksLeftAndRightCpu", from_pose, hands))
        if "FACE_LANDMARKS" in streams:
            from_pose = [image, Port("FACE_LANDMARKS_FROM_POSE", 0, pose)]
            face = Port("FACE_LANDMARKS", 0, streams["FACE_LANDMARKS"])
            nodes.append(_part(node, "FaceLandmarksFromPoseCpu", from_pose, [face]))
        return nodes


def _part(node: Node, calculator: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> Node:
    # The names are those of MediaPipe (framework/tool/subgraph_expansion.cc).
    return Node(
        name=f"{node.name.lower()}__{calculator}",
        calculator=calculator,
        line=node.line,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        options=node.options,
    )
