"""How colors are coded in a video: the matrix between YUV and RGB, and what a written video declares."""

from dataclasses import replace

import av

from stream_client.frames import BT709, UNDECLARED, Color

BT601 = 6
SDR = Color(matrix=BT709, primaries=BT709, transfer=BT709)
CONVERTER_MATRICES = {BT709: BT709, 4: 4, 5: 5, BT601: 5, 7: 7, 9: 9}
"""The matrices that FFmpeg's converter knows, with its own numbers for them. 5 and 6 are the same matrix."""
WRITTEN_MATRICES = CONVERTER_MATRICES.keys() - ({9} if int(av.__version__.partition(".")[0]) < 18 else set())
"""Those that frames can be written with. PyAV 17, the last one for Python 3.10, writes BT.601 in place of BT.2020."""
_HD = (1280, 576)
"""A frame of this width, or of more than this height, is HD."""


def color_of(frame: av.VideoFrame) -> Color:
    """The color that a decoded frame declares. An undeclared matrix is :func:`usual_matrix`."""
    matrix = frame.colorspace
    if matrix == UNDECLARED and not frame.format.is_rgb:
        matrix = usual_matrix(frame.width, frame.height)
    bits = max((component.bits for component in frame.format.components), default=8)
    return Color(matrix, frame.color_primaries, frame.color_trc, bits)


def usual_matrix(width: int, height: int) -> int:
    """BT.709 for HD, BT.601 for smaller frames: what players take where nothing is declared."""
    return BT709 if width >= _HD[0] or height > _HD[1] else BT601


def written_color(color: Color, width: int, height: int) -> Color:
    """The color to write frames of that size with: the source's own, where that can be written."""
    matrix = color.matrix if color.matrix in WRITTEN_MATRICES else usual_matrix(width, height)
    if matrix == BT709 and color.primaries == color.transfer == UNDECLARED:
        return SDR
    return replace(color, matrix=matrix, bits=8)
