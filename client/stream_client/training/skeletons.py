"""Draws skeletons: on a frame, or alone."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw

from stream_client.classify.joints import BONES, JOINT
from stream_client.frames import Image

Array = npt.NDArray[np.float64]

_HEIGHT = 160
_MARGIN = 0.1
_LINE, _JOINT = "#ff7a1a", "#1565c0"
_QUALITY = 70


def on_frame(image: Image, points: Array | None) -> PillowImage.Image:
    """The frame, 160 pixels high, with the skeleton of ``points`` [33 or 75, 3] in its pixels."""
    scale = _HEIGHT / image.shape[0]
    drawn = PillowImage.fromarray(image).resize((max(1, round(image.shape[1] * scale)), _HEIGHT))
    if points is not None:
        _draw(drawn, points[:33, :2] * scale)
    return drawn


def alone(points: Array | None) -> PillowImage.Image:
    """The skeleton of ``points`` [33 or 75, 3] on white, as large as it fits."""
    drawn = PillowImage.new("RGB", (_HEIGHT, _HEIGHT), "white")
    if points is not None:
        _draw(drawn, _fitted(points[:33, :2]))
    return drawn


def path(positions: Array) -> PillowImage.Image:
    """A trajectory [steps, 2] on white, with a dot at its end."""
    drawn = PillowImage.new("RGB", (_HEIGHT, _HEIGHT), "white")
    fitted = _fitted(positions)
    pen = ImageDraw.Draw(drawn)
    pen.line([(float(x), float(y)) for x, y in fitted], fill=_LINE, width=2)
    x, y = fitted[-1]
    pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=_JOINT)
    return drawn


def data_uri(image: PillowImage.Image) -> str:
    """The image inside a URI, so that a page needs no other file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _fitted(points: Array) -> Array:
    low, high = points.min(axis=0), points.max(axis=0)
    size = max(float((high - low).max()), 1e-6)
    room = _HEIGHT * (1 - 2 * _MARGIN)
    fitted: Array = (points - (low + high) / 2) / size * room + _HEIGHT / 2
    return fitted


def _draw(image: PillowImage.Image, points: Array) -> None:
    pen = ImageDraw.Draw(image)
    for start, end in BONES:
        pen.line([*points[JOINT[start]].tolist(), *points[JOINT[end]].tolist()], fill=_LINE, width=2)
    for name in {joint for bone in BONES for joint in bone}:
        x, y = points[JOINT[name]]
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_JOINT)
