"""Calculators that make tensors from images.

Sources: mediapipe/calculators/tensor/image_to_tensor_calculator.cc,
mediapipe/calculators/openvino/openvino_converter_calculator.cc.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import Calculator, Ports, Services
from graph_server.graph.messages import ImageToTensorCalculatorOptions, OpenVINOConverterCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import IMAGE_FRAME, MATRIX, MP_TENSOR, NORM_RECT, OV_TENSOR, PADDING, vector_of
from graph_server.holistic.crops import WHOLE, crop, padded
from graph_server.holistic.networks import scaled


@REGISTRY.register("ImageToTensorCalculator")
class ImageToTensor(Calculator):
    """Makes a tensor from a region of an image, or from the whole image."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME}, optional={"NORM_RECT": NORM_RECT})
    outputs = Ports(
        required={"TENSORS": vector_of(MP_TENSOR)}, optional={"LETTERBOX_PADDING": PADDING, "MATRIX": MATRIX}
    )

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(ImageToTensorCalculatorOptions)
        if options is None or not options.output_tensor_width or not options.output_tensor_height:
            raise ConfigError("ImageToTensorCalculator needs output_tensor_width and output_tensor_height")
        self._size = (options.output_tensor_width, options.output_tensor_height)
        self._keep_aspect = options.keep_aspect_ratio
        self._low, self._high = options.output_tensor_float_range.min, options.output_tensor_float_range.max
        if self._high <= self._low:
            raise ConfigError("ImageToTensorCalculator needs output_tensor_float_range")
        self._pixels = np.empty((self._size[1], self._size[0], 3), np.uint8)
        self._border = cv2.BORDER_CONSTANT if options.border_mode == 1 else cv2.BORDER_REPLICATE
        self._image = node.input_index("IMAGE")
        self._region = node.input_index("NORM_RECT")

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        assert self._image is not None
        image = inputs[self._image]
        region = WHOLE if self._region is None else inputs[self._region]
        if image is None or region is None or region.empty:
            return (None,) * len(self.node.outputs)
        padding: Any = None
        target = region
        if self._keep_aspect:
            target, padding = padded(region, (image.shape[1], image.shape[0]), self._size)
        crop(image, target, self._pixels, border=self._border)
        values = {
            "TENSORS": [scaled(self._pixels[None], self._low, self._high)],
            "LETTERBOX_PADDING": padding,
            "MATRIX": target,
        }
        return [values[port.tag] for port in self.node.outputs]


@REGISTRY.register("OpenVINOConverterCalculator")
class Converter(Calculator):
    """Makes a tensor [1, height, width, channels] from an image, unchanged or with values mapped to a range."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(required={"TENSORS": vector_of(OV_TENSOR)})

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.of(OpenVINOConverterCalculatorOptions)
        self._range: tuple[float, float] | None = None
        given = options.output_tensor_float_range
        if options.enable_normalization and options.zero_center:
            self._range = (-1.0, 1.0)
        if options.enable_normalization and options.HasField("output_tensor_float_range"):
            self._range = (given.min, given.max)
        if options.enable_normalization and options.use_custom_normalization:
            self._range = (-options.custom_sub, -options.custom_sub + 255.0 / options.custom_div)
        if self._range is not None and self._range[0] == self._range[1]:
            raise ConfigError(f"{node.calculator}: the range of output_tensor_float_range is empty")
        if options.max_num_channels not in (1, 3, 4):
            raise ConfigError(f"{node.calculator}: max_num_channels {options.max_num_channels} is not 1, 3 or 4")
        self._channels = options.max_num_channels
        self._flipped = options.flip_vertically

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image: npt.NDArray[Any] = inputs[0]
        if self._range is None:
            return ([image[None]],)
        if image.dtype not in (np.uint8, np.float32):
            raise GraphError("Only byte-based (8 bit) and float (32 bit) images supported.")
        image = np.ascontiguousarray((image[::-1] if self._flipped else image)[None, :, :, : self._channels])
        return ([scaled(image, *self._range)],)
