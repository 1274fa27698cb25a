"""The calculators. Importing this package registers all of them in :data:`REGISTRY`."""

from graph_server.calculators import (
    anchors,
    detections,
    drawing,
    hands_and_face,
    holistic,
    images,
    inference,
    iris,
    landmarks,
    persons,
    pose,
    python_nodes,
    rects,
    routing,
    smoothing,
    timing,
    vectors,
)
from graph_server.calculators.registry import REGISTRY

__all__ = [
    "REGISTRY",
    "anchors",
    "detections",
    "drawing",
    "hands_and_face",
    "holistic",
    "images",
    "inference",
    "iris",
    "landmarks",
    "persons",
    "pose",
    "python_nodes",
    "rects",
    "routing",
    "smoothing",
    "timing",
    "vectors",
]
