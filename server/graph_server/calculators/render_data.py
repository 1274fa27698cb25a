"""Calculators that make render data: what to draw for landmarks, regions and detections.

Sources: mediapipe/calculators/util/{landmarks_to,rect_to,detections_to}_render_data_calculator.cc,
rect_to_render_scale_calculator.cc.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.annotations import Annotation, Box, Gradient, Marks, Ready, RenderData, Text
from graph_server.calculators.boxes import Detection
from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph import messages
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import (
    DetectionsToRenderDataCalculatorOptions,
    LandmarksToRenderDataCalculatorOptions,
    RectToRenderDataCalculatorOptions,
    RectToRenderScaleCalculatorOptions,
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import (
    DETECTION,
    FLOAT,
    LANDMARKS,
    NORM_LANDMARKS,
    NORM_RECT,
    RENDER_DATA,
    SIZE,
    vector_of,
)
from graph_server.holistic.regions import Region
from kserve_wire.pictures.drawing import WHITE, Color, holistic_strokes

_TEXT_SHARE = 0.1
"""The height of a detection's label, as a fraction of the height of its box."""


@REGISTRY.register("HolisticTrackingToRenderData")
class HolisticRenderData(Calculator):
    """Render data of pose, hands and face. It replaces the whole subgraph."""

    inputs = Ports(
        required={"IMAGE_SIZE": SIZE},
        optional={
            "POSE_LANDMARKS": NORM_LANDMARKS,
            "POSE_ROI": NORM_RECT,
            "LEFT_HAND_LANDMARKS": NORM_LANDMARKS,
            "RIGHT_HAND_LANDMARKS": NORM_LANDMARKS,
            "FACE_LANDMARKS": NORM_LANDMARKS,
        },
    )
    outputs = Ports(required={"RENDER_DATA_VECTOR": vector_of(RENDER_DATA)})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        tags = (*self.inputs.required, *self.inputs.optional)
        self._places = [node.input_index(str(tag)) for tag in tags]

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        size, pose, region, left, right, face = (None if place is None else inputs[place] for place in self._places)
        if size is None:
            return NOTHING
        extent = None if region is None else (region.width, region.height)
        return ([RenderData((Ready(tuple(holistic_strokes(size, pose, extent, left, right, face))),))],)


@REGISTRY.register("LandmarksToRenderDataCalculator")
class LandmarksToRenderData(Calculator):
    """Render data of landmarks: dots and the lines between them. Near landmarks are brighter and larger."""

    inputs = Ports(optional={"LANDMARKS": LANDMARKS, "NORM_LANDMARKS": NORM_LANDMARKS, "RENDER_SCALE": FLOAT})
    outputs = Ports(required={"RENDER_DATA": RENDER_DATA})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if sum(port.tag.endswith("LANDMARKS") for port in node.inputs) != 1:
            raise ConfigError(f"{node.calculator} needs one of LANDMARKS and NORM_LANDMARKS")
        if len(node.options.of(LandmarksToRenderDataCalculatorOptions).landmark_connections) % 2:
            raise ConfigError("Number of entries in landmark connections must be a multiple of 2")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = options = node.options.of(LandmarksToRenderDataCalculatorOptions)
        self._scale = node.input_index("RENDER_SCALE")
        relative = node.input_index("NORM_LANDMARKS")
        self._relative = relative is not None
        self._landmarks = relative if relative is not None else node.input_index("LANDMARKS") or 0
        numbers = list(options.landmark_connections)
        self._connections = list(zip(numbers[::2], numbers[1::2], strict=True))
        near, far = options.min_depth_line_color, options.max_depth_line_color
        self._near = _color(near)
        self._far = _color(far) if options.HasField("max_depth_line_color") else WHITE

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        landmarks = inputs[self._landmarks]
        scale = 1.0 if self._scale is None else inputs[self._scale]
        if landmarks is None or scale is None:
            return NOTHING
        return (RenderData(tuple(self._annotations(landmarks, scale * self._options.thickness))),)

    def _annotations(self, landmarks: npt.NDArray[np.float32], thickness: float) -> Iterator[Annotation]:
        options = self._options
        points = landmarks[:, :2].astype(np.float64)
        shown = self._shown(landmarks)
        lines = tuple(pair for pair in self._connections if shown.issuperset(pair))
        dots = tuple(sorted(shown)) if options.render_landmarks else ()
        depths = landmarks[np.isfinite(landmarks[:, 2]), 2]
        low, high = depths.min(initial=math.inf), depths.max(initial=0.0)  # 0 as in MediaPipe
        if not options.visualize_landmark_depth or high - low <= 1e-3:
            yield Marks(points, self._relative, _color(options.connection_color), thickness, lines=lines)
            yield Marks(points, self._relative, _color(options.landmark_color), thickness, dots=dots)
            return
        depth = (landmarks[:, 2] - low) / (high - low + 1e-6)
        for a, b in lines:
            ends = (self._mixed(depth[a]), self._mixed(depth[b]))
            yield Gradient(points[[a, b]], self._relative, *ends, thickness)
        least, most = options.min_depth_circle_thickness, options.max_depth_circle_thickness
        for dot in dots:
            gray = 255 - int(depth[dot] * 255)
            size = int(least + (1 - depth[dot]) * (most - least))
            yield Marks(points, self._relative, (gray, gray, gray), size, dots=(dot,))

    def _shown(self, landmarks: npt.NDArray[np.float32]) -> set[int]:
        options = self._options
        shown = np.isfinite(landmarks[:, :3]).all(axis=1)
        for asked, column, threshold in (
            (options.utilize_visibility, 3, options.visibility_threshold),
            (options.utilize_presence, 4, options.presence_threshold),
        ):
            # Hands and faces have no visibility or presence: all zeros. A network never gives exactly zero for all.
            if asked and landmarks[:, column].any():
                shown &= landmarks[:, column] >= threshold
        return set(np.flatnonzero(shown).tolist())

    def _mixed(self, depth: float) -> Color:
        red, green, blue = (int(a * depth + b * (1 - depth)) for a, b in zip(self._near, self._far, strict=True))
        return red, green, blue


@REGISTRY.register("RectToRenderScaleCalculator")
class RectToRenderScale(Calculator):
    """The scale for drawing: ``multiplier`` times the longer side of a region in pixels.

    Without a region it is ``multiplier``.
    """

    inputs = Ports(required={"NORM_RECT": NORM_RECT, "IMAGE_SIZE": SIZE})
    outputs = Ports(required={"RENDER_SCALE": FLOAT})
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if node.options.of(RectToRenderScaleCalculatorOptions).process_timestamp_bounds:
            raise ConfigError(f"{node.calculator}: process_timestamp_bounds is not implemented here")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._multiplier = node.options.of(RectToRenderScaleCalculatorOptions).multiplier
        self._region, self._size = node.input_index("NORM_RECT") or 0, node.input_index("IMAGE_SIZE") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        region, size = inputs[self._region], inputs[self._size]
        if region is None:
            return (self._multiplier,)
        if size is None:
            raise GraphError("NORM_RECT has a packet, but IMAGE_SIZE has none")
        return (self._multiplier * max(region.width * size[0], region.height * size[1]),)


@REGISTRY.register("RectToRenderDataCalculator")
class RectToRenderData(Calculator):
    """Render data of regions: rectangles or ovals."""

    inputs = Ports(optional={"NORM_RECT": NORM_RECT, "NORM_RECTS": vector_of(NORM_RECT)})
    outputs = Ports(required={"RENDER_DATA": RENDER_DATA})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if len(node.inputs) != 1:
            raise ConfigError(f"{node.calculator} needs one of NORM_RECT and NORM_RECTS")
        options = node.options.of(RectToRenderDataCalculatorOptions)
        if options.HasField("top_left_thickness") and (options.filled or options.oval):
            raise ConfigError(f"{node.calculator}: top_left_thickness cannot be used with filled or oval")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = node.options.of(RectToRenderDataCalculatorOptions)

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        regions = [inputs[0]] if self.node.inputs[0].tag == "NORM_RECT" else inputs[0]
        return (RenderData(tuple(box for region in regions for box in self._box(region))),)

    def _box(self, region: Region) -> Iterator[Box]:
        options = self._options
        if not region.finite:
            return
        left, top = region.x_center - region.width / 2, region.y_center - region.height / 2
        right, bottom = left + region.width, top + region.height
        if not region.rotation and _is_outside(left, top, right, bottom):
            return
        corner = options.top_left_thickness if options.HasField("top_left_thickness") else None
        yield Box(
            left, top, right, bottom, _color(options.color), options.thickness,
            rotation=region.rotation, filled=options.filled, oval=options.oval, corner=corner,
        )  # fmt: skip


@REGISTRY.register("DetectionsToRenderDataCalculator")
class DetectionsToRenderData(Calculator):
    """Render data of detections: boxes with label, score and keypoints."""

    inputs = Ports(optional={"DETECTION": DETECTION, "DETECTIONS": vector_of(DETECTION)})
    outputs = Ports(required={"RENDER_DATA": RENDER_DATA})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if node.options.of(DetectionsToRenderDataCalculatorOptions).render_detection_id:
            raise ConfigError(f"{node.calculator}: render_detection_id is not implemented here")
        if not node.inputs:
            raise ConfigError(f"{node.calculator} needs DETECTION or DETECTIONS")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = node.options.of(DetectionsToRenderDataCalculatorOptions)

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        found: list[Detection] = []
        for port, value in zip(self.node.inputs, inputs, strict=True):
            found += [value] if port.tag == "DETECTION" and value is not None else value or ()
        if not found and not self._options.produce_empty_packet:
            return NOTHING
        finite = [detection for detection in found if detection.finite]
        return (RenderData(tuple(part for one in finite for part in detection_annotations(one, self._options))),)


def detection_annotations(
    detection: Detection, options: DetectionsToRenderDataCalculatorOptions
) -> Iterator[Annotation]:
    """The box of a detection that is finite, with its label, score and keypoints."""
    color, thickness = _color(options.color), options.thickness
    left, top, right, bottom = detection.box.tolist()
    if detection.label is not None:
        score = f"{math.floor(detection.score * 100 + 0.5) / 100:g}"
        parts = (detection.text or str(detection.label), score, "")
        line = (bottom - top) * _TEXT_SHARE
        text = options.text
        yield Text(
            options.text_delimiter.join(parts), max(left, 0.0), min(top + line, 1.0), line * 0.9,
            color, thickness, font=text.font_face,
            centered=(text.center_horizontally, text.center_vertically),
            outline=text.outline_thickness, outline_color=_color(text.outline_color),
        )  # fmt: skip
    if not _is_outside(left, top, right, bottom):
        yield Box(max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0), color, thickness)
    points = detection.keypoints[:, :2].astype(np.float64)
    yield Marks(points, True, color, thickness, dots=tuple(range(len(points))))


def _color(color: messages.Color) -> Color:
    return color.r, color.g, color.b


def _is_outside(left: float, top: float, right: float, bottom: float) -> bool:
    return right < 0 or bottom < 0 or left > 1 or top > 1
