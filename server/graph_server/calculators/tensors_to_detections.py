"""The calculator that decodes a network's tensors to detections.

Sources: mediapipe/calculators/tensor/tensors_to_detections_calculator.cc,
calculators/openvino/openvino_tensors_to_detections_calculator.cc.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.boxes import Detection
from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import Calculator, Ports, Services
from graph_server.graph.messages import (
    OpenVINOTensorsToDetectionsCalculatorOptions,
    TensorsToDetectionsCalculatorOptions,
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import DETECTION, MP_TENSOR, OV_TENSOR, NodeTypes, vector_of
from graph_server.holistic.networks import sigmoid

Array = npt.NDArray[np.float32]


def _decoding(node: Node) -> TensorsToDetectionsCalculatorOptions:
    theirs = node.options.get(OpenVINOTensorsToDetectionsCalculatorOptions)
    if theirs is not None and node.options.get(TensorsToDetectionsCalculatorOptions) is None:
        # OVMS's type has the same fields with the same numbers.
        return TensorsToDetectionsCalculatorOptions.FromString(theirs.SerializeToString())
    return node.options.of(TensorsToDetectionsCalculatorOptions)


@REGISTRY.register("TensorsToDetectionsCalculator", "OpenVINOTensorsToDetectionsCalculator")
class TensorsToDetections(Calculator):
    """Decodes boxes [1, n, coordinates] and scores [1, n, classes] to detections. A side packet gives the anchors."""

    inputs = Ports(required={"TENSORS": vector_of(MP_TENSOR)})
    outputs = Ports(required={"DETECTIONS": vector_of(DETECTION)})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        options = _decoding(node)
        if not (options.num_boxes and options.num_coords and options.num_classes):
            raise ConfigError(f"{node.calculator} needs num_classes, num_boxes and num_coords")
        if options.num_keypoints * options.num_values_per_keypoint + 4 != options.num_coords:
            raise ConfigError(f"{node.calculator}: num_coords must be 4 + num_keypoints * num_values_per_keypoint")
        if options.HasField("tensor_mapping") or options.HasField("box_boundaries_indices"):
            raise ConfigError(f"{node.calculator}: tensor_mapping and box_boundaries_indices are not implemented here")
        if options.max_classes_per_detection > 1:
            raise ConfigError(f"{node.calculator}: max_classes_per_detection above 1 is not implemented here")
        if not any(port.tag == "ANCHORS" for port in node.input_side_packets):
            raise ConfigError(f"{node.calculator} needs input side packet ANCHORS")

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        tensor = OV_TENSOR if node.calculator.startswith("OpenVINO") else MP_TENSOR
        return NodeTypes([vector_of(tensor)], [vector_of(DETECTION)])

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = options = _decoding(node)
        classes = range(options.num_classes)
        if options.allow_classes:
            self._classes = [index for index in classes if index in options.allow_classes]
        else:
            self._classes = [index for index in classes if index not in options.ignore_classes]
        self._anchors: Array = np.empty((0, 4), np.float32)

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        self._anchors = side_packets["ANCHORS"]
        if len(self._anchors) != self._options.num_boxes:
            raise GraphError(f"there are {len(self._anchors)} anchors for {self._options.num_boxes} boxes")
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        options = self._options
        if len(inputs[0]) != 2:
            raise GraphError(f"got {len(inputs[0])} tensors; 2 are needed, boxes and scores")
        raw = inputs[0][0].reshape(options.num_boxes, options.num_coords)
        scores = inputs[0][1].reshape(options.num_boxes, options.num_classes)[:, self._classes]
        if options.sigmoid_score:
            limit = options.score_clipping_thresh if options.HasField("score_clipping_thresh") else 700.0
            scores = sigmoid(np.clip(scores.astype(np.float64), -limit, limit))
        best = scores.argmax(axis=1)
        scores = scores[np.arange(len(scores)), best]
        chosen = np.arange(len(scores))
        if options.HasField("min_score_thresh"):
            chosen = np.flatnonzero(scores >= options.min_score_thresh)
        boxes, keypoints = self._decode(raw[chosen], self._anchors[chosen])
        detections = [
            Detection(box, float(scores[index]), self._classes[best[index]], points)
            for index, box, points in zip(chosen, boxes, keypoints, strict=True)
            if (box[2:] >= box[:2]).all()  # networks may give negative sizes or NaN
        ]
        # MediaPipe only skips sizes of NaN. Other values of NaN or infinity end its process.
        detections = [detection for detection in detections if detection.finite]
        return (detections[: options.max_results] if options.max_results > 0 else detections,)

    def _decode(self, raw: Array, anchors: Array) -> tuple[Array, Array]:
        """The corners [n, 4] and keypoints [n, k, 2] of boxes."""
        options = self._options
        scale = np.array([options.x_scale, options.y_scale], np.float32)
        x_first = options.reverse_output_order or options.box_format in (2, 3)
        box = raw[:, options.box_coord_offset :][:, :4]
        if not x_first:
            box = box[:, [1, 0, 3, 2]]
        first, second = box[:, :2], box[:, 2:]
        if options.box_format == 3:  # distances to the sides
            first, second = (box[:, 2:] - box[:, :2]) / np.float32(2), box[:, 2:] + box[:, :2]
        center = first / scale * anchors[:, 2:] + anchors[:, :2]
        size: Any = second / np.array([options.w_scale, options.h_scale], np.float32)
        size = (np.exp(size) if options.apply_exponential_on_box_size else size) * anchors[:, 2:]
        count, values = options.num_keypoints, options.num_values_per_keypoint
        points = raw[:, options.keypoint_coord_offset :][:, : count * values].reshape(len(raw), count, values)[:, :, :2]
        if not x_first:
            points = points[:, :, ::-1]
        points = points / scale * anchors[:, None, 2:] + anchors[:, None, :2]
        corners = np.concatenate([center - size / 2, center + size / 2], axis=1)
        if options.flip_vertically:
            corners[:, [1, 3]] = 1 - corners[:, [3, 1]]
            points[:, :, 1] = 1 - points[:, :, 1]
        return corners.astype(np.float32), points.astype(np.float32)
