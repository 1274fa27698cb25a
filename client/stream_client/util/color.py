"""How colors are coded in a video: what a decoded frame declares, and what a written video does."""

from dataclasses import replace

import av

from kserve_wire.pictures import BT709, UNDECLARED
from kserve_wire.pictures.rgb import CONVERTER_MATRICES, matrix_of, usual_matrix
from stream_client.frames import Color

SDR = Color(matrix=BT709, primaries=BT709, transfer=BT709)
WRITTEN_MATRICES = CONVERTER_MATRICES.keys() - ({9} if int(av.__version__.partition(".")[0]) < 18 else set())
"""Those that frames can be written with. PyAV 17, the last one for Python 3.10, writes BT.601 in place of BT.2020."""


def color_of(frame: av.VideoFrame) -> Color:
    """The color that a decoded frame declares. An undeclared matrix is the usual one."""
    bits = max((component.bits for component in frame.format.components), default=8)
    return Color(matrix_of(frame), frame.color_primaries, frame.color_trc, bits)


def written_color(color: Color, width: int, height: int) -> Color:
    """The color to write frames of that size with: the source's own, where that can be written."""
    matrix = color.matrix if color.matrix in WRITTEN_MATRICES else usual_matrix(width, height)
    if matrix == BT709 and color.primaries == color.transfer == UNDECLARED:
        return SDR
    return replace(color, matrix=matrix, bits=8)
