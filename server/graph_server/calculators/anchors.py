"""Anchors of single-shot detectors."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import Calculator, Ports, Services
from graph_server.graph.messages import SsdAnchorsCalculatorOptions
from graph_server.graph.node import Node
from kserve_wire.anchors import SsdAnchorOptions, ssd_anchors


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
        self._options = SsdAnchorOptions(
            width=options.input_size_width,
            height=options.input_size_height,
            strides=tuple(options.strides),
            min_scale=options.min_scale,
            max_scale=options.max_scale,
            offset=(options.anchor_offset_x, options.anchor_offset_y),
            aspects=tuple(options.aspect_ratios),
            interpolated=options.interpolated_scale_aspect_ratio,
            reduce_lowest=options.reduce_boxes_in_lowest_layer,
            fixed=options.fixed_anchor_size,
        )

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"": ssd_anchors(self._options)}
