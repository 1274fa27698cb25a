"""Calculators that smooth landmarks over time.

Sources: mediapipe/calculators/util/{landmarks_smoothing,visibility_smoothing}_calculator*.cc.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import LandmarksSmoothingCalculatorOptions, VisibilitySmoothingCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import LANDMARKS, NORM_LANDMARKS, NORM_RECT, RECT, SIZE
from graph_server.holistic.smoothing import LowPassFilter
from kserve_wire.one_euro import OneEuroFilter


def _one_list(node: Node) -> bool:
    """Whether the landmarks are relative to the image. Raises :class:`ConfigError` if input and output do not fit."""
    relative = node.input_index("NORM_LANDMARKS") is not None
    wanted = "NORM_FILTERED_LANDMARKS" if relative else "FILTERED_LANDMARKS"
    if relative == (node.input_index("LANDMARKS") is not None) or [port.tag for port in node.outputs] != [wanted]:
        raise ConfigError(
            f"{node.calculator} needs NORM_LANDMARKS and NORM_FILTERED_LANDMARKS, or LANDMARKS and FILTERED_LANDMARKS"
        )
    return relative


@REGISTRY.register("VisibilitySmoothingCalculator")
class VisibilitySmoothing(Calculator):
    """Smooths visibility with a low-pass filter. Like MediaPipe, it does not start again after the object was lost."""

    stateful = True
    inputs = Ports(optional={"NORM_LANDMARKS": NORM_LANDMARKS, "LANDMARKS": LANDMARKS})
    outputs = Ports(optional={"NORM_FILTERED_LANDMARKS": NORM_LANDMARKS, "FILTERED_LANDMARKS": LANDMARKS})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        _one_list(node)

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(VisibilitySmoothingCalculatorOptions)
        kind = None if options is None else options.WhichOneof("filter_options")
        if options is None or kind is None:
            raise ConfigError("VisibilitySmoothingCalculator needs no_filter or low_pass_filter")
        self._filter = LowPassFilter(options.low_pass_filter.alpha) if kind == "low_pass_filter" else None

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        landmarks = inputs[0]
        if self._filter is None:
            return (landmarks,)
        result = landmarks.copy()
        result[:, 3] = self._filter.apply(landmarks[:, 3])
        return (result,)


@REGISTRY.register("LandmarksSmoothingCalculator")
class LandmarksSmoothing(Calculator):
    """Smooths coordinates with One-Euro filters. It starts again after the object was lost.

    Relative coordinates are filtered in pixels. Velocities are relative to the object's size: the mean side of
    OBJECT_SCALE_ROI, or of the box around the landmarks.
    """

    stateful = True
    inputs = Ports(
        optional={
            "NORM_LANDMARKS": NORM_LANDMARKS,
            "LANDMARKS": LANDMARKS,
            "IMAGE_SIZE": SIZE,
            "OBJECT_SCALE_ROI": NORM_RECT | RECT,
        }
    )
    outputs = Ports(optional={"NORM_FILTERED_LANDMARKS": NORM_LANDMARKS, "FILTERED_LANDMARKS": LANDMARKS})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if _one_list(node) and node.input_index("IMAGE_SIZE") is None:
            raise ConfigError("LandmarksSmoothingCalculator needs IMAGE_SIZE for NORM_LANDMARKS")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(LandmarksSmoothingCalculatorOptions)
        kind = None if options is None else options.WhichOneof("filter_options")
        if options is None or kind not in ("no_filter", "one_euro_filter"):
            raise ConfigError(
                "LandmarksSmoothingCalculator needs no_filter or one_euro_filter; others are not implemented here"
            )
        given = options.one_euro_filter
        self._filter: OneEuroFilter | None = None
        if kind == "one_euro_filter":
            self._filter = OneEuroFilter(
                min_cutoff=given.min_cutoff, beta=given.beta, derivative_cutoff=given.derivate_cutoff
            )
        self._scaled = not given.disable_value_scaling
        self._least = given.min_allowed_object_scale
        relative, absolute = node.input_index("NORM_LANDMARKS"), node.input_index("LANDMARKS")
        self._landmarks = relative if relative is not None else absolute or 0
        self._size = node.input_index("IMAGE_SIZE")
        self._region = node.input_index("OBJECT_SCALE_ROI")

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        landmarks = inputs[self._landmarks]
        size = (1, 1) if self._size is None else inputs[self._size]
        if landmarks is None:
            if self._filter is not None:
                self._filter.reset()
            return NOTHING
        if self._filter is None or size is None:
            return (landmarks,)
        pixels = np.array([size[0], size[1], size[0]], np.float32)  # z is on the scale of x
        values = landmarks[:, :3] * pixels
        scale = 1.0
        if self._scaled:
            region = None if self._region is None else inputs[self._region]
            if region is None:
                sides = values[:, :2].max(axis=0) - values[:, :2].min(axis=0)
                object_scale = float(sides.mean())
            else:
                object_scale = (region.width * size[0] + region.height * size[1]) / 2
            if object_scale < self._least:
                return (landmarks,)
            scale = 1.0 / object_scale
        result = landmarks.copy()
        result[:, :3] = self._filter.apply(values, timestamp, scale) / pixels
        return (result,)
