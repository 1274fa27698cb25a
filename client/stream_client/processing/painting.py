"""Draws persons as the server draws them, to the pixel. It needs OpenCV."""

from collections.abc import Mapping

import numpy as np

from kserve_wire.pictures.drawing import canvas_for, draw, holistic_strokes
from stream_client.frames import FACE_POINTS, HAND_POINTS, POSE_POINTS, Image, Tensor
from stream_client.landmarks.persons import part, rows_of

_LEFT, _RIGHT, _FACE = POSE_POINTS, POSE_POINTS + HAND_POINTS, POSE_POINTS + 2 * HAND_POINTS


def paint_persons(image: Image, outputs: Mapping[str, Tensor], sent: tuple[int, int]) -> Image:
    """A copy of ``image`` with pose, hands and face of each person. The server saw an image of the size ``sent``.

    That one may be smaller, and padded on its right.
    """
    rows = rows_of(outputs)
    if rows is None:
        return image
    height, width = image.shape[:2]
    size = (max(width, round(sent[0] * height / sent[1])), height)
    canvas = canvas_for(np.pad(image, ((0, 0), (0, size[0] - width), (0, 0)), mode="edge"))
    with np.errstate(all="ignore"):
        for points, region in zip(rows.landmarks, rows.regions, strict=True):
            left, right = part(points, _LEFT, HAND_POINTS), part(points, _RIGHT, HAND_POINTS)
            face = part(points, _FACE, FACE_POINTS)
            extent = (float(region[0]), float(region[1]))
            draw(canvas, holistic_strokes(size, points[:POSE_POINTS], extent, left, right, face))
    return canvas[:, :width]
