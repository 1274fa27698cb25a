"""What a student learns from: a crop of a person, and the joints that the teacher saw in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from stream_client.distill.joints import Mask
from stream_client.frames import Image

CROP_SIDE = 128
"""Pixels of a crop's sides: what the student takes."""
_WIDER = 1.15
"""A crop's side over the longer side of the person's box."""


@dataclass(frozen=True, slots=True, eq=False)
class PoseSample:
    """A person in a frame. ``crop`` is RGB uint8 [128, 128, 3]; black where it reaches beyond the frame.

    ``joints`` is float32 [joints, 3], meters from the pelvis: x to the right and y down in the frame, z away from the
    camera. ``visible`` is bool [joints]. ``timestamp`` is the frame's, in µs, in the stream ``source``.
    """

    source: str
    timestamp: int
    crop: Image
    joints: npt.NDArray[np.float32]
    visible: Mask


def crop_of(image: Image, box: Sequence[float]) -> Image:
    """The square around ``box`` (left, top, right, bottom in pixels), scaled to the student's [128, 128, 3]."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top, 1.0) * _WIDER / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    left, top, right, bottom = (round(edge) for edge in (x - half, y - half, x + half, y + half))
    # A square of a pixel at least, also around a point.
    square = PillowImage.fromarray(image).crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return np.asarray(square.resize((CROP_SIDE, CROP_SIDE), PillowImage.Resampling.BILINEAR))
