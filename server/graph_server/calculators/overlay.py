"""The calculator that draws render data on images.

Source: mediapipe/calculators/util/annotation_overlay_calculator.cc.
"""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.messages import AnnotationOverlayCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import IMAGE_FRAME, RENDER_DATA, vector_of
from kserve_wire.pictures.drawing import canvas_for


@REGISTRY.register("AnnotationOverlayCalculator")
class AnnotationOverlay(Calculator):
    """Draws on a copy of the image. Inputs without a tag are single render data, VECTOR inputs are lists of them."""

    inputs = Ports(required={"IMAGE": IMAGE_FRAME}, optional={"VECTOR": vector_of(RENDER_DATA), "": RENDER_DATA})
    outputs = Ports(required={"IMAGE": IMAGE_FRAME})

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        if node.options.of(AnnotationOverlayCalculatorOptions).flip_text_vertically:
            raise ConfigError(f"{node.calculator}: flip_text_vertically is not implemented here")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._image = node.input_index("IMAGE") or 0

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[self._image]
        if image is None:
            return NOTHING
        if image.itemsize != 1 or image.shape[2] not in (1, 3, 4):
            raise GraphError("Unexpected image frame format.", "UNKNOWN")
        canvas = canvas_for(image)
        for port, value in zip(self.node.inputs, inputs, strict=True):
            if port.tag != "IMAGE" and value is not None:
                for data in value if port.tag == "VECTOR" else [value]:
                    for annotation in data.annotations:
                        annotation.draw(canvas)
        return (canvas,)
