"""Results as JSON, for those who draw them."""

import math
from typing import Any

import numpy.typing as npt

from stream_client.frames import Landmarks, Result
from stream_client.sinks.labels import label_row


def result_value(result: Result, *, face: bool = False) -> dict[str, object]:
    """The row of the labels file, and ``landmarks``: null where nobody is seen.

    ``pose`` is a list of 33 points: x and y over the width and height of the frame, z on the scale of x, visibility and
    presence. Hands are lists of 21 points: x, y, z; null where they are not seen. ``face`` has 468.
    """
    return {**label_row(result), "landmarks": landmarks_value(result.landmarks, face=face)}


def landmarks_value(landmarks: Landmarks | None, *, face: bool = False) -> dict[str, object] | None:
    """See :func:`result_value`."""
    if landmarks is None:
        return None
    value: dict[str, object] = {
        "pose": _points(landmarks.pose),
        "left_hand": _points(landmarks.left_hand),
        "right_hand": _points(landmarks.right_hand),
    }
    if face:
        value["face"] = _points(landmarks.face)
    return value


def _points(points: npt.NDArray[Any] | None) -> list[list[float | None]] | None:
    if points is None:
        return None
    return [[round(value, 5) if math.isfinite(value) else None for value in row] for row in points.tolist()]
