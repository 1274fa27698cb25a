"""Calculators that make regions from detections, and calculators that change regions.

Sources: mediapipe/calculators/util/{detections_to_rects,alignment_points_to_rects,rect_transformation}_calculator.cc.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from graph_server.calculators.boxes import keypoints_of
from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import DetectionsToRectsCalculatorOptions, RectTransformationCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import ANY, DETECTION, NORM_RECT, SIZE, vector_of
from graph_server.holistic.regions import (
    ImageSize,
    Region,
    normalize_radians,
    region_from_alignment_points,
    rotation_of,
)


@REGISTRY.register("DetectionsToRectsCalculator")
class DetectionsToRects(Calculator):
    """The region of each detection, or of the first one.

    The region is the detection's box, or the box around its keypoints. Two keypoints may give its rotation.
    """

    inputs = Ports(optional={"DETECTION": DETECTION, "DETECTIONS": vector_of(DETECTION), "IMAGE_SIZE": SIZE})
    outputs = Ports(optional={"NORM_RECT": NORM_RECT, "NORM_RECTS": vector_of(NORM_RECT)})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        tags = {port.tag for port in node.inputs}
        if len(tags & {"DETECTION", "DETECTIONS"}) != 1 or len(node.outputs) != 1:
            raise ConfigError(f"{node.calculator} needs DETECTION or DETECTIONS, and NORM_RECT or NORM_RECTS")
        options = node.options.get(DetectionsToRectsCalculatorOptions)
        if options is None or not options.HasField("rotation_vector_start_keypoint_index"):
            return
        if not options.HasField("rotation_vector_end_keypoint_index") or "IMAGE_SIZE" not in tags:
            raise ConfigError(f"{node.calculator}: a rotation needs the end keypoint's index and IMAGE_SIZE")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(DetectionsToRectsCalculatorOptions)
        self._start = self._end = None
        self._target = 0.0
        if options is not None and options.HasField("rotation_vector_start_keypoint_index"):
            self._start = options.rotation_vector_start_keypoint_index
            self._end = options.rotation_vector_end_keypoint_index
            degrees = options.HasField("rotation_vector_target_angle_degrees")
            self._target = (
                math.radians(options.rotation_vector_target_angle_degrees)
                if degrees
                else options.rotation_vector_target_angle
            )
        self._of_keypoints = options is not None and options.conversion_mode == 2
        self._zero = options is not None and options.output_zero_rect_for_empty_detections
        one, several = node.input_index("DETECTION"), node.input_index("DETECTIONS")
        self._source = one if one is not None else several or 0
        self._one_in = one is not None
        self._one_out = node.output_index("NORM_RECT") is not None
        self._size = node.input_index("IMAGE_SIZE")

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        found = inputs[self._source]
        size = None if self._size is None else inputs[self._size]
        if found is None or (size is None and self._start is not None):
            return NOTHING
        detections = [found] if self._one_in else found
        if not detections:
            empty = Region(0.0, 0.0, 0.0, 0.0)
            return NOTHING if not self._zero else (empty if self._one_out else [empty],)
        if self._one_out:
            return (self.region(detections[0], size),)
        return ([self.region(detection, size) for detection in detections],)

    def region(self, detection: Any, size: ImageSize | None) -> Region:
        """The region of a detection. ``size`` is the image's size, or ``None`` if the node has no such input."""
        points = keypoints_of(detection)
        if self._of_keypoints:
            left, top = points[:, :2].min(axis=0)
            right, bottom = points[:, :2].max(axis=0)
        else:
            left, top, right, bottom = detection.box
        rotation = 0.0
        if size is not None and self._start is not None and self._end is not None:
            start, end = (points[index, :2] * np.array(size) for index in (self._start, self._end))
            rotation = rotation_of(tuple(start), tuple(end), self._target)
        return Region(
            float(left + right) / 2, float(top + bottom) / 2, float(right - left), float(bottom - top), rotation
        )


@REGISTRY.register("AlignmentPointsRectsCalculator")
class AlignmentPointsRects(DetectionsToRects):
    """The region around one keypoint. The distance to another keypoint gives its size."""

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        super().check(node)
        options = node.options.get(DetectionsToRectsCalculatorOptions)
        if options is None or not options.HasField("rotation_vector_start_keypoint_index"):
            raise ConfigError("AlignmentPointsRectsCalculator needs the indices of two keypoints")

    @override
    def region(self, detection: Any, size: ImageSize | None) -> Region:
        points = keypoints_of(detection)
        assert size is not None
        assert self._start is not None
        assert self._end is not None
        if max(self._start, self._end) >= len(points):
            raise GraphError(f"keypoints {self._start} and {self._end} are needed, but the detection has {len(points)}")
        center, edge = ((float(x), float(y)) for x, y in points[[self._start, self._end], :2])
        return region_from_alignment_points(center, edge, size, math.degrees(self._target))


@REGISTRY.register("RectTransformationCalculator")
class RectTransformation(Calculator):
    """Rotates regions, shifts them along their own axes, makes them square and scales them, in this order."""

    inputs = Ports(required={"IMAGE_SIZE": SIZE}, optional={"NORM_RECT": NORM_RECT, "NORM_RECTS": vector_of(NORM_RECT)})
    outputs = Ports(required={"": ANY})
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if len(node.inputs) != 2:
            raise ConfigError("RectTransformationCalculator needs IMAGE_SIZE, and either NORM_RECT or NORM_RECTS")
        options = node.options.get(RectTransformationCalculatorOptions)
        if options is not None and (
            (options.HasField("rotation") and options.HasField("rotation_degrees"))
            or (options.HasField("square_long") and options.HasField("square_short"))
        ):
            raise ConfigError(
                "RectTransformationCalculator takes only one of rotation and rotation_degrees, and only one of "
                "square_long and square_short"
            )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = node.options.get(RectTransformationCalculatorOptions)
        one, several = node.input_index("NORM_RECT"), node.input_index("NORM_RECTS")
        self._one = one is not None
        self._source = one if one is not None else several or 0
        self._size = node.input_index("IMAGE_SIZE") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        regions, size = inputs[self._source], inputs[self._size]
        if regions is None or size is None:
            return NOTHING
        if self._one:
            return (self._transformed(regions, size),)
        return ([self._transformed(region, size) for region in regions],)

    def _transformed(self, region: Region, size: ImageSize) -> Region:
        options = self._options
        if options is None or not region.finite:
            return region
        rotation = region.rotation
        if options.HasField("rotation") or options.HasField("rotation_degrees"):
            rotation = normalize_radians(rotation + options.rotation + math.radians(options.rotation_degrees))
        width, height = region.width * size[0], region.height * size[1]
        across, down = width * options.shift_x, height * options.shift_y
        cosine, sine = math.cos(rotation), math.sin(rotation)
        x = region.x_center + (across * cosine - down * sine) / size[0]
        y = region.y_center + (across * sine + down * cosine) / size[1]
        if options.square_long:
            width = height = max(width, height)
        elif options.square_short:
            width = height = min(width, height)
        return Region(x, y, width * options.scale_x / size[0], height * options.scale_y / size[1], rotation)
