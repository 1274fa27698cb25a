"""Anchors of single-shot detectors.

Source: mediapipe/calculators/tflite/ssd_anchors_calculator.cc.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import Calculator, Ports, Services
from graph_server.graph.messages import SsdAnchorsCalculatorOptions
from graph_server.graph.node import Node


@REGISTRY.register("SsdAnchorsCalculator")
class SsdAnchors(Calculator):
    """Gives a side packet with anchors, float32 [n, 4]: x and y of the center, width, height, relative to the input."""

    inputs = Ports()
    outputs = Ports()

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(SsdAnchorsCalculatorOptions)
        if options is None or len(options.strides) != options.num_layers or not options.num_layers:
            raise ConfigError("SsdAnchorsCalculator needs num_layers, and one of strides for each layer")
        if options.multiscale_anchor_generation or options.feature_map_width or options.fixed_anchors:
            raise ConfigError("SsdAnchorsCalculator: multiscale, fixed anchors and feature maps are not implemented")
        self._options = options

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        options = self._options
        layers = []
        first = 0
        while first < options.num_layers:
            # Layers with the same stride share their cells.
            stride = options.strides[first]
            last = first
            sides: list[tuple[float, float]] = []
            while last < options.num_layers and options.strides[last] == stride:
                sides += self._sides(last)
                last += 1
            columns, rows = -(-options.input_size_width // stride), -(-options.input_size_height // stride)
            y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1)
            centers = np.stack([(x + options.anchor_offset_x) / columns, (y + options.anchor_offset_y) / rows], axis=1)
            boxes = np.ones((len(centers), len(sides), 4), np.float32)
            boxes[:, :, :2] = centers[:, None]
            if not options.fixed_anchor_size:
                boxes[:, :, 2:] = sides
            layers.append(boxes.reshape(-1, 4))
            first = last
        return {"": np.concatenate(layers)}

    def _sides(self, layer: int) -> list[tuple[float, float]]:
        """Width and height of a layer's anchors."""
        options = self._options
        scale = self._scale(layer)
        shapes = [(scale, ratio) for ratio in options.aspect_ratios]
        if layer == 0 and options.reduce_boxes_in_lowest_layer:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        elif options.interpolated_scale_aspect_ratio > 0:
            following = 1.0 if layer == options.num_layers - 1 else self._scale(layer + 1)
            shapes.append((math.sqrt(scale * following), options.interpolated_scale_aspect_ratio))
        return [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for size, ratio in shapes]

    def _scale(self, layer: int) -> float:
        options = self._options
        if options.num_layers == 1:
            return float(options.min_scale + options.max_scale) / 2
        step = (options.max_scale - options.min_scale) / (options.num_layers - 1)
        return float(options.min_scale + step * layer)
