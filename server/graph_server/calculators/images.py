"""Calculators that change pictures as a whole.

Source: mediapipe/calculators/image/color_convert_calculator.cc.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import NOTHING, Calculator, Services
from graph_server.graph.node import Node

_CONVERSIONS = {
    ("RGBA_IN", "RGB_OUT"): cv2.COLOR_RGBA2RGB,
    ("GRAY_IN", "RGB_OUT"): cv2.COLOR_GRAY2RGB,
    ("RGB_IN", "GRAY_OUT"): cv2.COLOR_RGB2GRAY,
    ("RGB_IN", "RGBA_OUT"): cv2.COLOR_RGB2RGBA,
    ("RGBA_IN", "BGRA_OUT"): cv2.COLOR_RGBA2BGRA,
    ("BGRA_IN", "RGBA_OUT"): cv2.COLOR_BGRA2RGBA,
    ("BGR_IN", "RGB_OUT"): cv2.COLOR_BGR2RGB,
}


@REGISTRY.register("ColorConvertCalculator")
class ColorConvert(Calculator):
    """A picture with its channels in another order or number; images are [height, width, channels]."""

    @classmethod
    def check(cls, node: Node) -> None:
        """One of MediaPipe's conversions."""
        tags = tuple(port.tag for port in (*node.inputs, *node.outputs))
        if tags not in _CONVERSIONS:
            known = ", ".join(f"{source} to {target}" for source, target in _CONVERSIONS)
            raise ConfigError(f"ColorConvertCalculator converts {known}")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._code = _CONVERSIONS[node.inputs[0].tag, node.outputs[0].tag]

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Convert."""
        image = inputs[0]
        if image is None:
            return NOTHING
        return (np.atleast_3d(cv2.cvtColor(image, self._code)),)
