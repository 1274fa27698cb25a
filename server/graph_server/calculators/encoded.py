"""Encoded frames in and out of a graph. OVMS has no such nodes.

What decodes and encodes is loaded with the first frame: PyAV and Pillow take 50 ms, and few servers need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import FrameEncoderOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import IMAGE_FRAME, PY_TENSOR
from graph_server.python_nodes.tensor import Tensor
from kserve_wire.datatypes import join_elements, split_elements
from kserve_wire.encoded import MOST_ELEMENTS, EncodedFrame, from_elements

if TYPE_CHECKING:
    from kserve_wire.pictures.decoder import PictureDecoder

MOST_PIXELS = 1 << 24
"""More are not decoded: a few kilobytes may hold an image of any size."""
_BEST = 95


@REGISTRY.register("FrameDecoderCalculator")
class FrameDecoder(Calculator):
    """Decodes :mod:`kserve_wire.encoded`'s tensors: JPEG, or the H.264 of one stream.

    The image's width becomes a multiple of 16 as that of raw frames does, so that networks see the same pixels. H.264
    that cannot be decoded has no image; another tensor than an encoded frame puts the graph into error.
    """

    stateful = True
    inputs = Ports(required={"ENCODED": PY_TENSOR})
    outputs = Ports(required={"IMAGE": IMAGE_FRAME})

    @override
    def open(self, side_packets: Any) -> Any:
        self._decoder: PictureDecoder | None = None
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        from kserve_wire.pictures.decoder import PictureDecoder
        from kserve_wire.pictures.rgb import aligned

        self._decoder = self._decoder or PictureDecoder(MOST_PIXELS)
        try:
            image = self._decoder.picture(_frame(inputs[0]))
        except ValueError as error:
            raise GraphError(str(error), "INVALID_ARGUMENT") from error
        return NOTHING if image is None else (aligned(image),)


@REGISTRY.register("FrameEncoderCalculator")
class FrameEncoder(Calculator):
    """Makes JPEGs, as tensors of ``BYTES`` [1]."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(required={"ENCODED": PY_TENSOR})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        quality = node.options.of(FrameEncoderOptions).quality
        if not 1 <= quality <= _BEST:
            raise ConfigError(f"{node.where()}: quality is {quality}: 1 to {_BEST}")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._quality = node.options.of(FrameEncoderOptions).quality

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        from kserve_wire.pictures.jpeg import encode_jpeg

        image = inputs[0]
        if image.dtype.itemsize != 1 or image.shape[2] != 3:
            raise GraphError("a JPEG is made of RGB with 8 bits a channel", "INVALID_ARGUMENT")
        data = join_elements([encode_jpeg(image, self._quality)])
        return (Tensor.of_bytes(self.node.outputs[0].name, data, (1,), "BYTES"),)


def _frame(tensor: Tensor) -> EncodedFrame:
    if tensor.datatype != "BYTES":
        raise ValueError(f"an encoded frame is a tensor of BYTES, not of {tensor.datatype}")
    return from_elements(split_elements(tensor.contiguous(), MOST_ELEMENTS))
