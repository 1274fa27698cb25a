"""Calculators for detections: suppression, class names, letterbox removal, landmarks to a detection.

Sources: mediapipe/calculators/util/{non_max_suppression,detection_letterbox_removal,detection_projection,
landmarks_to_detection,detection_label_id_to_text}_calculator.cc.
"""

from collections.abc import Sequence
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
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import DETECTION, IMAGE_FRAME, MATRIX, NORM_LANDMARKS, PADDING, vector_of
from graph_server.holistic.crops import projected, unpadded

Array = npt.NDArray[np.float32]


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
