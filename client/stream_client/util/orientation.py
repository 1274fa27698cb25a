"""How a decoded frame is turned and mirrored to stand upright, from its display matrix."""

import struct
from contextlib import suppress
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import SideData, SideDataContainer

from stream_client.frames import Image


@dataclass(frozen=True, slots=True)
class Orientation:
    """First rows and columns change places (``transposed``), then columns and rows are reversed.

    A turn by 90 degrees clockwise is ``transposed`` and ``mirrored``.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The width and height of an upright frame that was decoded with these."""
        return (height, width) if self.transposed else (width, height)

    def upright(self, image: Image) -> Image:
        """The image upright: the same array where nothing has to be done, else a new one."""
        if self == Orientation():
            return image
        turned = image.transpose(1, 0, 2) if self.transposed else image
        step_x, step_y = -1 if self.mirrored else 1, -1 if self.flipped else 1
        return np.ascontiguousarray(turned[::step_y, ::step_x])


class _SideData(SideDataContainer):
    """A frame's side data, up to what PyAV does not know: 18.1 raises at EXIF, which FFmpeg puts behind the matrix."""

    def __init__(self, frame: av.VideoFrame) -> None:
        with suppress(ValueError):
            super().__init__(frame)  # type: ignore[call-arg]  # PyAV's stub lacks it


def orientation(frame: av.VideoFrame) -> Orientation:
    """What the frame's display matrix says; angles that are no quarter turn are taken to the nearest.

    The matrix is nine int32, by row: x' = a*x + c*y and y' = b*x + d*y for a b 0, c d 0, and an offset.
    Source: ISO/IEC 14496-12, 6.2.2.
    """
    # ``frame.side_data`` and the frame keep each other, and so its pixels, until a garbage collection.
    matrix = _SideData(frame).get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(mirrored=a < 0, flipped=d < 0)
    return Orientation(transposed=True, mirrored=c < 0, flipped=b < 0)
