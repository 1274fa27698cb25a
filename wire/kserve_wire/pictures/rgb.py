"""From decoded video frames to RGB."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from kserve_wire.pictures import BT709, ROW_ALIGNMENT, UNDECLARED

Image = npt.NDArray[np.uint8]

BT601 = 6
CONVERTER_MATRICES = {BT709: BT709, 4: 4, 5: 5, BT601: 5, 7: 7, 9: 9}
"""The matrices that FFmpeg's converter knows, with its own numbers for them. 5 and 6 are the same matrix."""
_HD = (1280, 576)
"""A frame of this width, or of more than this height, is HD."""
PIXELS_A_THREAD = 1920 * 1088
"""One thread converts and encodes 1080p fast enough. More threads only take time from other stages."""


def usual_matrix(width: int, height: int) -> int:
    """BT.709 for HD, BT.601 for smaller frames: what players take where nothing is declared."""
    return BT709 if width >= _HD[0] or height > _HD[1] else BT601


def matrix_of(frame: av.VideoFrame) -> int:
    """The matrix that a decoded frame declares, by ITU-T H.273. An undeclared one is :func:`usual_matrix`."""
    matrix = frame.colorspace
    if matrix == UNDECLARED and not frame.format.is_rgb:
        return usual_matrix(frame.width, frame.height)
    return matrix


def threads_for(width: int, height: int) -> int:
    """Threads for frames of that size, at least 1."""
    return -(-width * height // PIXELS_A_THREAD)


class RgbConverter:
    """Converts decoded frames to RGB. For one thread.

    It keeps the scaler. A new one for each frame costs 0.5 of the 0.8 ms for a 1280x720 frame.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, width: int | None = None) -> Image:
        """The frame as RGB, uint8 [height, width, 3], in its own or another width: a view on FFmpeg's own buffer.

        Raises :class:`OSError`, :class:`ValueError` or :class:`MemoryError` where FFmpeg cannot convert it.
        """
        rgb = self._reformatter.reformat(
            frame,
            width=width or frame.width,
            format="rgb24",
            src_colorspace=CONVERTER_MATRICES.get(matrix_of(frame)),  # else the frame's own, which may be refused
            interpolation=Interpolation.BILINEAR,
            threads=threads_for(frame.width, frame.height),
        )
        plane = rgb.planes[0]
        rows: Any = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        image: Image = rows[: rgb.height, : 3 * rgb.width].reshape(rgb.height, rgb.width, 3)
        return image


def aligned(image: Image, alignment: int = ROW_ALIGNMENT) -> Image:
    """The image with its last column repeated until the width is a multiple of ``alignment``; itself if it is so."""
    surplus = -image.shape[1] % alignment
    return np.pad(image, ((0, 0), (0, surplus), (0, 0)), mode="edge") if surplus else image
