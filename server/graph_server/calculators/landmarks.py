"""Calculators that turn tensors into landmarks, and move landmarks from a crop to the image."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import (
    LandmarkProjectionCalculatorOptions,
    RefineLandmarksFromHeatmapCalculatorOptions,
    TensorsToLandmarksCalculatorOptions,
    VisibilityCopyCalculatorOptions,
)
from graph_server.graph.node import Node
from graph_server.graph.packet_types import LANDMARKS, MP_TENSOR, NORM_LANDMARKS, NORM_RECT, PADDING, vector_of
from graph_server.holistic.crops import projected, turned, unpadded
from graph_server.holistic.networks import sigmoid
from graph_server.holistic.pose import refined


@REGISTRY.register("TensorsToLandmarksCalculator")
class TensorsToLandmarks(Calculator):
    """Makes landmarks [n, 5] from the first tensor. NORM_LANDMARKS are relative to the input's size."""

    inputs = Ports(required={"TENSORS": vector_of(MP_TENSOR)})
    outputs = Ports(optional={"LANDMARKS": LANDMARKS, "NORM_LANDMARKS": NORM_LANDMARKS})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.needed(TensorsToLandmarksCalculatorOptions)
        self._count = options.num_landmarks
        self._scale = np.ones(3, np.float32)
        if node.output_index("NORM_LANDMARKS") is not None:
            width, height = options.input_image_width, options.input_image_height
            self._scale = np.array([1 / width, 1 / height, 1 / (width * options.normalize_z)], np.float32)
        self._activations = (options.visibility_activation, options.presence_activation)

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        values = inputs[0][0].reshape(self._count, -1)
        landmarks = np.zeros((self._count, 5), np.float32)
        landmarks[:, :3] = values[:, :3] * self._scale
        for column, activation in zip(range(3, min(5, values.shape[1])), self._activations, strict=False):
            landmarks[:, column] = sigmoid(values[:, column]) if activation else values[:, column]
        return (landmarks,)


@REGISTRY.register("TensorsToFaceLandmarks")
class TensorsToFaceLandmarks(Calculator):
    """Makes landmarks [468, 5] from the face network's tensor, relative to its crop of 192 pixels."""

    inputs = Ports(required={"TENSORS": vector_of(MP_TENSOR)})
    outputs = Ports(required={"LANDMARKS": NORM_LANDMARKS})

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        landmarks = np.zeros((468, 5), np.float32)
        landmarks[:, :3] = inputs[0][0].reshape(468, 3) / np.float32(192)
        return (landmarks,)


@REGISTRY.register("RefineLandmarksFromHeatmapCalculator")
class RefineLandmarks(Calculator):
    """Refines x and y of landmarks by the heat map."""

    inputs = Ports(required={"NORM_LANDMARKS": NORM_LANDMARKS, "TENSORS": vector_of(MP_TENSOR)})
    outputs = Ports(required={"NORM_LANDMARKS": NORM_LANDMARKS})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.needed(RefineLandmarksFromHeatmapCalculatorOptions)
        self._kernel = options.kernel_size
        self._confidence = options.min_confidence_to_refine
        self._landmarks = node.input_index("NORM_LANDMARKS") or 0
        self._tensors = node.input_index("TENSORS") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        landmarks, tensors = inputs[self._landmarks], inputs[self._tensors]
        if landmarks is None:
            return NOTHING
        if tensors is None:
            return (landmarks,)
        return (refined(landmarks, tensors[0], kernel=self._kernel, confidence=self._confidence),)


@REGISTRY.register("VisibilityCopyCalculator")
class VisibilityCopy(Calculator):
    """Copies visibility and presence from one list of landmarks to another."""

    inputs = Ports(
        optional={
            "LANDMARKS_FROM": LANDMARKS,
            "NORM_LANDMARKS_FROM": NORM_LANDMARKS,
            "LANDMARKS_TO": LANDMARKS,
            "NORM_LANDMARKS_TO": NORM_LANDMARKS,
        }
    )
    outputs = Ports(optional={"LANDMARKS_TO": LANDMARKS, "NORM_LANDMARKS_TO": NORM_LANDMARKS})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(VisibilityCopyCalculatorOptions)
        self._columns = [
            column
            for column, copy in ((3, "copy_visibility"), (4, "copy_presence"))
            if options is None or getattr(options, copy)
        ]
        self._source = next(i for i, port in enumerate(node.inputs) if port.tag.endswith("_FROM"))
        self._target = next(i for i, port in enumerate(node.inputs) if port.tag.endswith("_TO"))

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        source, target = inputs[self._source], inputs[self._target]
        if source is None or target is None:
            return NOTHING
        result = target.copy()
        result[:, self._columns] = source[:, self._columns]
        return (result,)


class _Paired(Calculator):
    """Changes every LANDMARKS input by the other input, and gives it to the output in the same place."""

    other: str
    landmark_tags: tuple[str, ...] = ("LANDMARKS", "NORM_LANDMARKS")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._other = next(index for index, port in enumerate(node.inputs) if port.tag == self.other)
        self._lists = [index for index, port in enumerate(node.inputs) if port.tag in self.landmark_tags]

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        other = inputs[self._other]
        if other is None:
            return NOTHING
        return [None if inputs[index] is None else self.apply(inputs[index], other) for index in self._lists]

    def apply(self, landmarks: Any, other: Any) -> Any:
        """One list of landmarks [n, 5], changed by the value of the other input."""
        raise NotImplementedError


@REGISTRY.register("LandmarkLetterboxRemovalCalculator")
class LandmarkLetterboxRemoval(_Paired):
    """Makes landmarks relative to the crop without its bars."""

    inputs = Ports(required={"LETTERBOX_PADDING": PADDING, "LANDMARKS": NORM_LANDMARKS})
    outputs = Ports(required={"LANDMARKS": NORM_LANDMARKS})
    other = "LETTERBOX_PADDING"

    @override
    def apply(self, landmarks: Any, other: Any) -> Any:
        return unpadded(landmarks, other)


@REGISTRY.register("LandmarkProjectionCalculator")
class LandmarkProjection(_Paired):
    """Moves landmarks from the region to the image."""

    inputs = Ports(required={"NORM_RECT": NORM_RECT}, optional={...: NORM_LANDMARKS})
    outputs = Ports(required={"NORM_LANDMARKS": NORM_LANDMARKS})
    other = "NORM_RECT"

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(LandmarkProjectionCalculatorOptions)
        self._upright = options is not None and options.ignore_rotation

    @override
    def apply(self, landmarks: Any, other: Any) -> Any:
        return projected(landmarks, replace(other, rotation=0.0) if self._upright else other)


@REGISTRY.register("WorldLandmarkProjectionCalculator")
class WorldLandmarkProjection(_Paired):
    """Rotates world landmarks with the region."""

    inputs = Ports(required={"NORM_RECT": NORM_RECT, "LANDMARKS": LANDMARKS})
    outputs = Ports(required={"LANDMARKS": LANDMARKS})
    other = "NORM_RECT"

    @override
    def apply(self, landmarks: Any, other: Any) -> Any:
        return turned(landmarks, other.rotation)
