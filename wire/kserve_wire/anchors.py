"""Anchors of single-shot detectors.

Source: mediapipe/calculators/tflite/ssd_anchors_calculator.cc.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class SsdAnchorOptions:
    """The shape of a detector: its input in pixels, a stride for each layer, and the sizes of the boxes.

    ``interpolated`` is the aspect of one more box between two layers, 0 for none. ``fixed``: all are 1 wide and high.
    The defaults are those of SSD MobileNet in MediaPipe's and OVMS's object detection.
    """

    width: int
    height: int
    strides: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    min_scale: float = 0.2
    max_scale: float = 0.95
    offset: tuple[float, float] = (0.5, 0.5)
    aspects: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    interpolated: float = 1.0
    reduce_lowest: bool = True
    fixed: bool = False


def ssd_anchors(options: SsdAnchorOptions) -> npt.NDArray[np.float32]:
    """Anchors, float32 [n, 4]: x and y of the center, width, height, relative to the input."""
    layers = []
    first = 0
    while first < len(options.strides):
        # Layers with the same stride share their cells.
        stride = options.strides[first]
        last = first
        sides: list[tuple[float, float]] = []
        while last < len(options.strides) and options.strides[last] == stride:
            sides += _sides(options, last)
            last += 1
        columns, rows = -(-options.width // stride), -(-options.height // stride)
        y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1)
        centers = np.stack([(x + options.offset[0]) / columns, (y + options.offset[1]) / rows], axis=1)
        boxes = np.ones((len(centers), len(sides), 4), np.float32)
        boxes[:, :, :2] = centers[:, None]
        if not options.fixed:
            boxes[:, :, 2:] = sides
        layers.append(boxes.reshape(-1, 4))
        first = last
    return np.concatenate(layers)


def _sides(options: SsdAnchorOptions, layer: int) -> Sequence[tuple[float, float]]:
    """Width and height of a layer's anchors."""
    scale = _scale(options, layer)
    shapes = [(scale, aspect) for aspect in options.aspects]
    if layer == 0 and options.reduce_lowest:
        shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
    elif options.interpolated > 0:
        following = 1.0 if layer == len(options.strides) - 1 else _scale(options, layer + 1)
        shapes.append((math.sqrt(scale * following), options.interpolated))
    return [(size * math.sqrt(aspect), size / math.sqrt(aspect)) for size, aspect in shapes]


def _scale(options: SsdAnchorOptions, layer: int) -> float:
    if len(options.strides) == 1:
        return (options.min_scale + options.max_scale) / 2
    return options.min_scale + (options.max_scale - options.min_scale) / (len(options.strides) - 1) * layer
