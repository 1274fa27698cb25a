"""The four nodes of OVMS's iris tracking demo: face, eyes and irises, the face with these eyes, the drawing.

Sources: modules/face_landmark/face_landmark_front_cpu.pbtxt,
modules/iris_landmark/iris_landmark_left_and_right_cpu.pbtxt, graphs/iris_tracking/subgraphs/iris_renderer_cpu.pbtxt and
the calculators in graphs/iris_tracking/calculators.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.annotations import Annotation, Box, Marks
from graph_server.calculators.boxes import Detection
from graph_server.calculators.registry import REGISTRY
from graph_server.calculators.render_data import detection_annotations
from graph_server.errors import GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import Color, DetectionsToRenderDataCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import DETECTION, IMAGE_FRAME, NORM_LANDMARKS, NORM_RECT, vector_of
from graph_server.holistic.front_face import FrontFaceTracker
from graph_server.holistic.iris import IrisEstimator, refined
from graph_server.holistic.regions import ImageSize, Landmarks
from graph_server.holistic.ssd import Found
from kserve_wire.pictures.connections import FACE, Chains
from kserve_wire.pictures.drawing import Color as Rgb
from kserve_wire.pictures.drawing import canvas_for

_RED: Rgb = (255, 0, 0)
_DARK_RED: Rgb = (150, 0, 0)
_DARK_GREEN: Rgb = (0, 150, 0)
_GREEN: Rgb = (0, 255, 0)
_BLUE: Rgb = (0, 0, 255)
_DETECTION = DetectionsToRenderDataCalculatorOptions(thickness=4.0, color=Color(g=255))
_EYELIDS: Chains = ((0, 1, 2, 3, 4, 5, 6, 7, 8), (9, 10, 11, 12, 13, 14), (0, 9), (8, 14))
_EYELID_POINTS = 15
_IRIS_POINTS = 5


@REGISTRY.register("FaceLandmarkFrontCpu")
class FaceLandmarkFront(Calculator):
    """The landmarks of one face, found in the whole image and tracked from frame to frame.

    The side packet ``NUM_FACES`` must be 1, as in OVMS's demo. Detections have a packet where the face is searched
    for.
    """

    stateful = True
    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(
        optional={
            "LANDMARKS": vector_of(NORM_LANDMARKS),
            "ROIS_FROM_LANDMARKS": vector_of(NORM_RECT),
            "DETECTIONS": vector_of(DETECTION),
            "ROIS_FROM_DETECTIONS": vector_of(NORM_RECT),
        }
    )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        models = services.models
        self._tracker = FrontFaceTracker(models.get("face_detection"), models.get("face_landmark"))

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        faces = side_packets.get("NUM_FACES")
        if faces != 1:
            raise GraphError(f"{self.node.calculator}: NUM_FACES is {faces}, and only 1 is implemented here")
        if side_packets.get("WITH_ATTENTION"):
            raise GraphError(f"{self.node.calculator}: WITH_ATTENTION is not implemented here, nor in OVMS")
        self._tracker.follow = side_packets.get("USE_PREV_LANDMARKS") is not False
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        face = self._tracker.process(inputs[0])
        values = {
            "LANDMARKS": face.landmarks,
            "ROIS_FROM_LANDMARKS": face.next_region,
            "DETECTIONS": None if face.detection is None else _detection(face.detection),
            "ROIS_FROM_DETECTIONS": face.detected_region,
        }
        return [None if (value := values[port.tag]) is None else [value] for port in self.node.outputs]


@REGISTRY.register("IrisLandmarkLeftAndRightCpu")
class IrisLandmarks(Calculator):
    """Both eyes of one face and their irises, from the corners of the eyes."""

    inputs = Ports(
        required={
            "IMAGE": IMAGE_FRAME,
            "LEFT_EYE_BOUNDARY_LANDMARKS": NORM_LANDMARKS,
            "RIGHT_EYE_BOUNDARY_LANDMARKS": NORM_LANDMARKS,
        }
    )
    outputs = Ports(
        optional={
            "LEFT_EYE_CONTOUR_LANDMARKS": NORM_LANDMARKS,
            "LEFT_EYE_IRIS_LANDMARKS": NORM_LANDMARKS,
            "LEFT_EYE_ROI": NORM_RECT,
            "RIGHT_EYE_CONTOUR_LANDMARKS": NORM_LANDMARKS,
            "RIGHT_EYE_IRIS_LANDMARKS": NORM_LANDMARKS,
            "RIGHT_EYE_ROI": NORM_RECT,
        }
    )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._estimator = IrisEstimator(services.models.get("iris_landmark"))
        self._image = node.input_index("IMAGE") or 0
        self._corners = {side: node.input_index(f"{side}_EYE_BOUNDARY_LANDMARKS") or 0 for side in ("LEFT", "RIGHT")}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[self._image]
        if image is None:
            return NOTHING
        values: dict[str, Any] = {}
        for side, place in self._corners.items():
            if inputs[place] is None:
                continue
            eye = self._estimator.process(image, inputs[place], right=side == "RIGHT")
            if eye is not None:
                values[f"{side}_EYE_CONTOUR_LANDMARKS"] = eye.contour
                values[f"{side}_EYE_IRIS_LANDMARKS"] = eye.iris
                values[f"{side}_EYE_ROI"] = eye.region
        return [values.get(port.tag) for port in self.node.outputs]


@REGISTRY.register("UpdateFaceLandmarksCalculator")
class UpdateFaceLandmarks(Calculator):
    """The landmarks of the face with the more exact ones of the eyes."""

    inputs = Ports(required={"NEW_EYE_LANDMARKS": NORM_LANDMARKS, "FACE_LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(required={"UPDATED_FACE_LANDMARKS": NORM_LANDMARKS})
    brief = True

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._eyes = node.input_index("NEW_EYE_LANDMARKS") or 0
        self._face = node.input_index("FACE_LANDMARKS") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        eyes, face = inputs[self._eyes], inputs[self._face]
        return NOTHING if eyes is None or face is None else (refined(face, eyes),)


@REGISTRY.register("IrisRendererCpu")
class IrisRenderer(Calculator):
    """Draws face, eyes and irises on a copy of the image. The three regions are read and not drawn, as in MediaPipe."""

    inputs = Ports(
        required={
            "IMAGE": IMAGE_FRAME,
            "DETECTIONS": vector_of(DETECTION),
            "FACE_LANDMARKS": NORM_LANDMARKS,
            "EYE_LANDMARKS_LEFT": NORM_LANDMARKS,
            "EYE_LANDMARKS_RIGHT": NORM_LANDMARKS,
            "IRIS_LANDMARKS_LEFT": NORM_LANDMARKS,
            "IRIS_LANDMARKS_RIGHT": NORM_LANDMARKS,
        },
        optional={"NORM_RECT": NORM_RECT, "LEFT_EYE_RECT": NORM_RECT, "RIGHT_EYE_RECT": NORM_RECT},
    )
    outputs = Ports(optional={"IMAGE": IMAGE_FRAME, "IRIS_LANDMARKS": NORM_LANDMARKS})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._places = [node.input_index(str(tag)) or 0 for tag in self.inputs.required]

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image, detections, face, left_eye, right_eye, left_iris, right_iris = (inputs[at] for at in self._places)
        irises = [iris for iris in (left_iris, right_iris) if iris is not None]
        values: dict[str, Any] = {"IRIS_LANDMARKS": np.concatenate(irises) if irises else None}
        if image is not None:
            values["IMAGE"] = canvas = canvas_for(image)
            annotations = [
                *(part for one in detections or () for part in _named(one)),
                *_face(face),
                *_eyelids(right_eye),
                *_eyelids(left_eye),
                *(part for iris in irises for part in _iris(iris, (image.shape[1], image.shape[0]))),
            ]
            for annotation in annotations:
                annotation.draw(canvas)
        return [values.get(port.tag) for port in self.node.outputs]


def _detection(found: Found) -> Detection:
    return Detection(found.corners.reshape(4), found.score, 0, found.keypoints)


def _named(detection: Detection) -> Iterator[Annotation]:
    if detection.finite:
        yield from detection_annotations(replace(detection, text="Face"), _DETECTION)


def _face(face: Landmarks | None) -> Iterator[Annotation]:
    if face is not None:
        points = _places(face)
        yield Marks(points, True, _DARK_GREEN, 2.0, lines=FACE)
        yield Marks(points, True, _DARK_RED, 2.0, dots=tuple(range(len(points))))


def _eyelids(eye: Landmarks | None) -> Iterator[Annotation]:
    if eye is not None:
        yield Marks(_places(eye), True, _RED, 1.0, lines=_EYELIDS, dots=tuple(range(_EYELID_POINTS)))


def _iris(iris: Landmarks, size: ImageSize) -> Iterator[Annotation]:
    """An oval of the iris's mean diameter, and its points: center, right, top, left, bottom."""
    if len(iris) != _IRIS_POINTS:
        raise GraphError("Wrong number of iris landmarks")
    points = _places(iris)
    pixels = points * size
    radius = (np.linalg.norm(pixels[2] - pixels[4]) + np.linalg.norm(pixels[3] - pixels[1])) / 4
    (x, y), (across, down) = points[0].tolist(), (radius / np.array(size, np.float64)).tolist()
    yield Box(x - across, y - down, x + across, y + down, _BLUE, 4.0, oval=True)
    yield Marks(points, True, _GREEN, 2.0, dots=(0, 2, 4, 3, 1))


def _places(landmarks: Landmarks) -> npt.NDArray[np.float64]:
    return landmarks[:, :2].astype(np.float64)
