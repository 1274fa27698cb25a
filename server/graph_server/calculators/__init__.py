"""The calculators. Importing this package makes all of them known to :data:`REGISTRY`."""

from graph_server.calculators import (
    drawing,
    flow,
    holistic,
    inference,
    landmarks,
    pose,
    regions,
    timing,
    vectors,
)
from graph_server.calculators.registry import REGISTRY

__all__ = ["REGISTRY", "drawing", "flow", "holistic", "inference", "landmarks", "pose", "regions", "timing", "vectors"]
