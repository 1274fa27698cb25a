"""Calculators for detections: decoding, suppression, class names, letterbox removal, landmarks to a detection.

Sources: mediapipe/calculators/tensor/tensors_to_detections_calculator.cc, calculators/util/{non_max_suppression,
detection_letterbox_removal,detection_projection,landmarks_to_detection,detection_label_id_to_text}_calculator.cc,
calculators/openvino/openvino_tensors_to_detections_calculator.cc.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.boxes import Detection, Detections, suppressed
from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import (
    ClipVectorSizeCalculatorOptions,
    DetectionLabelIdToTextCalculatorOptions,
    LandmarksToDetectionCalculatorOptions,
    NonMaxSuppressionCalculatorOptions,
    OpenVINOTensorsToDetectionsCalculatorOptions,
    TensorsToDetectionsCalculatorOptions,
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import (
    DETECTION,
    IMAGE_FRAME,
    MATRIX,
    MP_TENSOR,
    NORM_LANDMARKS,
    OV_TENSOR,
    PADDING,
    NodeTypes,
    vector_of,
)
from graph_server.holistic.crops import projected, unpadded
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


@REGISTRY.register("NonMaxSuppressionCalculator")
class NonMaxSuppression(Calculator):
    """Keeps the best of the detections that overlap, alone or averaged with the others by score."""

    inputs = Ports(required={"": vector_of(DETECTION)}, optional={"IMAGE": IMAGE_FRAME})
    outputs = Ports(required={"": vector_of(DETECTION)})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(NonMaxSuppressionCalculatorOptions)
        if options is None:
            raise ConfigError("NonMaxSuppressionCalculator needs its options")
        self._options = options
        self._lists = node.data_inputs

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        options = self._options
        given = [detection for index in self._lists for detection in inputs[index] or ()]
        if not given:
            return ([],) if options.return_empty_detections else NOTHING
        return (
            suppressed(
                given,
                threshold=options.min_suppression_threshold,
                overlap=options.overlap_type,
                weighted=options.algorithm == 1,
                min_score=options.min_score_threshold,
                most=options.max_num_detections,
            ),
        )


class _MovedDetections(Calculator):
    """Moves detections to other coordinates."""

    outputs = Ports(required={"DETECTIONS": vector_of(DETECTION)})
    other: str

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._detections = node.input_index("DETECTIONS") or 0
        self._other = node.input_index(self.other) or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        detections, other = inputs[self._detections], inputs[self._other]
        if detections is None or other is None:
            return NOTHING
        return ([detection.moved(lambda points: self.move(points, other)) for detection in detections],)

    def move(self, points: Array, other: Any) -> Array:
        """The moved ``points``, float32 [n, 5]. ``other`` is the value of the other input."""
        raise NotImplementedError


@REGISTRY.register("DetectionLetterboxRemovalCalculator")
class DetectionLetterboxRemoval(_MovedDetections):
    """Makes detections relative to the crop without its bars."""

    inputs = Ports(required={"DETECTIONS": vector_of(DETECTION), "LETTERBOX_PADDING": PADDING})
    other = "LETTERBOX_PADDING"

    @override
    def move(self, points: Array, other: Any) -> Array:
        return unpadded(points, other)


@REGISTRY.register("DetectionProjectionCalculator")
class DetectionProjection(_MovedDetections):
    """Moves detections from a region to the image. The region is MATRIX of ImageToTensorCalculator."""

    inputs = Ports(required={"DETECTIONS": vector_of(DETECTION), "PROJECTION_MATRIX": MATRIX})
    other = "PROJECTION_MATRIX"

    @override
    def move(self, points: Array, other: Any) -> Array:
        return projected(points, other)


@REGISTRY.register("LandmarksToDetectionCalculator")
class LandmarksToDetection(Calculator):
    """Makes a detection from all or selected landmarks: they are its keypoints, with the box around them."""

    inputs = Ports(required={"NORM_LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(required={"DETECTION": DETECTION})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(LandmarksToDetectionCalculatorOptions)
        self._chosen = list(options.selected_landmark_indices) if options is not None else []

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        points = inputs[0][:, :2]
        if self._chosen:
            if max(self._chosen) >= len(points):
                raise GraphError("Index of landmark subset is out of range.")
            points = points[self._chosen]
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
        return (Detection(box, 1.0, None, points),)


@REGISTRY.register("ClipDetectionVectorSizeCalculator")
class ClipDetections(Calculator):
    """Keeps the first ``max_vec_size`` detections."""

    inputs = Ports(required={"": vector_of(DETECTION)})
    outputs = Ports(required={"": vector_of(DETECTION)})
    brief = True

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(ClipVectorSizeCalculatorOptions)
        if options is None or options.max_vec_size < 1:
            raise ConfigError("ClipDetectionVectorSizeCalculator needs a positive max_vec_size")
        self._most = options.max_vec_size

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        detections: Detections = inputs[0]
        return (detections[: self._most],)


@REGISTRY.register("DetectionLabelIdToTextCalculator")
class DetectionLabels(Calculator):
    """Adds the names of classes to detections. The names come from a file with one name a line, or from the options."""

    inputs = Ports(required={"": vector_of(DETECTION)})
    outputs = Ports(required={"": vector_of(DETECTION)})
    brief = True

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.of(DetectionLabelIdToTextCalculatorOptions)
        if bool(options.label_map_path) + bool(options.label) + bool(options.label_items) > 1:
            raise ConfigError(f"{node.calculator} takes only one of label_map_path, label and label_items")
        self._names: dict[int | None, str] = {number: item.name for number, item in options.label_items.items()}
        names: Sequence[str] = options.label
        if options.label_map_path:
            # Relative to the working directory, as in OVMS.
            try:
                names = Path(options.label_map_path).read_text().splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"label_map_path {options.label_map_path!r} cannot be read: {error}") from error
        self._names.update(enumerate(names))

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        detections: Detections = inputs[0]
        return ([replace(detection, text=self._names.get(detection.label, "")) for detection in detections],)
