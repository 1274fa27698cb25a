"""Calculators that change whole images: colors, size, rotation.

Sources: mediapipe/calculators/image/{color_convert,image_transformation}_calculator.cc.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import ImageTransformationCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import IMAGE_FRAME, PADDING
from graph_server.holistic.crops import Padding

Image = npt.NDArray[Any]

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
    """Changes the order or number of an image's channels. Images are [height, width, channels]."""

    inputs = Ports(optional={...: IMAGE_FRAME})
    outputs = Ports(optional={...: IMAGE_FRAME})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        tags = tuple(port.tag for port in (*node.inputs, *node.outputs))
        if tags not in _CONVERSIONS:
            known = ", ".join(f"{source} to {target}" for source, target in _CONVERSIONS)
            raise ConfigError(f"ColorConvertCalculator has {' to '.join(tags)}; it can convert {known}")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._code = _CONVERSIONS[node.inputs[0].tag, node.outputs[0].tag]

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[0]
        if image is None:
            return NOTHING
        return (np.atleast_3d(cv2.cvtColor(image, self._code)),)


_DEGREES = {2: 90, 3: 180, 4: 270}
_ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
_FIT, _FILL_AND_CROP, _NEAREST = 2, 3, 2


@REGISTRY.register("ImageTransformationCalculator")
class ImageTransformation(Calculator):
    """Scales an image, rotates it by a multiple of 90 degrees and then mirrors it, as the options say."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(required={"IMAGE": IMAGE_FRAME}, optional={"LETTERBOX_PADDING": PADDING})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if node.input_side_packets:
            raise ConfigError(f"{node.calculator}: input side packets are not implemented here; use the options")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = options = node.options.of(ImageTransformationCalculatorOptions)
        self._degrees = _DEGREES.get(options.rotation_mode, 0)
        self._size = (options.output_width, options.output_height) if options.output_width > 0 else (0, 0)
        self._scaled = min(self._size) > 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        options = self._options
        given = inputs[0].shape[1::-1]
        image = self._scale(inputs[0]) if self._scaled else inputs[0]
        image = self._turn(image)
        if options.flip_horizontally or options.flip_vertically:
            both = options.flip_horizontally and options.flip_vertically
            image = cv2.flip(image, -1 if both else int(options.flip_horizontally))
        values = {"IMAGE": np.atleast_3d(image), "LETTERBOX_PADDING": self._padding(given)}
        return [values[port.tag] for port in self.node.outputs]

    def _scale(self, image: Image) -> Image:
        options, size = self._options, self._size
        height, width = image.shape[:2]
        ratios = (size[0] / width, size[1] / height)
        if options.scale_mode not in (_FIT, _FILL_AND_CROP):
            return cv2.resize(image, size, interpolation=self._interpolation(max(ratios)))
        scale = min(ratios)
        inner = (max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5)))
        scaled = cv2.resize(image, inner, interpolation=self._interpolation(scale))
        if options.scale_mode == _FILL_AND_CROP:
            return scaled  # MediaPipe does not fill and crop on the CPU.
        left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        color = options.padding_color
        return cv2.copyMakeBorder(
            scaled, top, size[1] - inner[1] - top, left, size[0] - inner[0] - left,
            cv2.BORDER_CONSTANT if options.constant_padding else cv2.BORDER_REPLICATE,
            value=(color.red, color.green, color.blue),
        )  # fmt: skip

    def _turn(self, image: Image) -> Image:
        if not self._degrees:
            return image
        height, width = image.shape[:2]
        if not self._scaled and self._degrees != 180 and width != height:
            return cv2.rotate(image, _ROTATIONS[self._degrees])
        # If the size stays the same, MediaPipe rotates about a point half a pixel from the middle.
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), self._degrees, 1.0)
        return cv2.warpAffine(image, matrix, (width, height))

    def _padding(self, given: Sequence[int]) -> Padding:
        """The bars that :data:`_FIT` adds to an image with the size ``given``."""
        if not self._scaled or self._options.scale_mode != _FIT:
            return Padding()
        width, height = given if self._degrees in (0, 180) else reversed(given)
        ratio = (width / height) / (self._size[0] / self._size[1])
        bar = (1 - min(ratio, 1 / ratio)) / 2
        return Padding(left=bar, right=bar) if ratio < 1 else Padding(top=bar, bottom=bar)

    def _interpolation(self, ratio: float) -> int:
        if self._options.interpolation_mode == _NEAREST:
            return cv2.INTER_NEAREST
        return cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
