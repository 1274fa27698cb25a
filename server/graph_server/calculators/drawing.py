"""Calculators that draw."""

from collections.abc import Sequence
from typing import Any

from graph_server.calculators.registry import REGISTRY
from graph_server.graph.calculator import NOTHING, Calculator, Ports, Services
from graph_server.graph.node import Node
from graph_server.holistic.drawing import draw, holistic_strokes


@REGISTRY.register("HolisticTrackingToRenderData")
class HolisticRenderData(Calculator):
    """What to draw for pose, hands and face."""

    inputs = Ports(
        required=("IMAGE_SIZE",),
        optional=(
            "POSE_LANDMARKS",
            "POSE_ROI",
            "LEFT_HAND_LANDMARKS",
            "RIGHT_HAND_LANDMARKS",
            "FACE_LANDMARKS",
        ),
    )
    outputs = Ports(required=("RENDER_DATA_VECTOR",))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        tags = (*self.inputs.required, *self.inputs.optional)
        self._places = [node.input_index(str(tag)) for tag in tags]

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Collect."""
        size, pose, region, left, right, face = (None if place is None else inputs[place] for place in self._places)
        return NOTHING if size is None else (holistic_strokes(size, pose, region, left, right, face),)


@REGISTRY.register("AnnotationOverlayCalculator")
class AnnotationOverlay(Calculator):
    """The strokes on a copy of the image."""

    inputs = Ports(required=("IMAGE",), optional=("VECTOR",))
    outputs = Ports(required=("IMAGE",))

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._image = node.input_index("IMAGE") or 0
        self._vectors = [index for index, port in enumerate(node.inputs) if port.tag == "VECTOR"]

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        """Draw."""
        image = inputs[self._image]
        if image is None:
            return NOTHING
        strokes = [stroke for place in self._vectors for stroke in inputs[place] or ()]
        return (draw(image, strokes),)
