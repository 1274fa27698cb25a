"""A frame's number and time as black and white cells in the frame, which survive H.264 and scaling.

Sixteen bytes, big endian, one bit a cell: frame number (4), wall clock in microseconds since 1970 (8), CRC-32
of both (4). The cells form a grid of 16 columns and 8 rows whose place is given in fractions of the frame, so
that a reader finds it in a frame of any size. A cell is 1/20 of the width and of the height: at 640x360
32x18 pixels, larger than H.264's largest transform. Only the middle of a cell is read.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COLUMNS, ROWS = 16, 8
LEFT, TOP = 0.1, 0.5
CELL = 0.05
MIN_WIDTH, MIN_HEIGHT = 160, 120
"""Pixels of the smallest frame: cells of 8x6."""

_PAYLOAD = struct.Struct(">IQ")
_CHECK = struct.Struct(">I")
_SAMPLES = 4  # a side, in the middle half of a cell
_MAX_INDEX = 1 << 32


@dataclass(frozen=True, slots=True)
class FrameCode:
    """What is painted: ``index`` counts frames (modulo 2^32), ``time`` is in µs since 1970."""

    index: int
    time: int


class CodePainter:
    """Paints codes into frames of one size, in pixels."""

    def __init__(self, width: int, height: int) -> None:
        left, right = round(LEFT * width), round((LEFT + COLUMNS * CELL) * width)
        self._columns = slice(left, right)
        self._rows = [round((TOP + row * CELL) * height) for row in range(ROWS + 1)]
        # The cell that each column of pixels belongs to, by the pixel's middle; the same for its three channels.
        cells = ((np.arange(left, right) + 0.5) / width - LEFT) / CELL
        self._cells = np.clip(cells.astype(int), 0, COLUMNS - 1)

    def paint(self, image: npt.NDArray[np.uint8], code: FrameCode) -> None:
        """Write ``code`` into ``image``, uint8 [height, width, 3], in place."""
        payload = _PAYLOAD.pack(code.index % _MAX_INDEX, code.time)
        data = np.frombuffer(payload + _CHECK.pack(zlib.crc32(payload)), np.uint8)
        bits = np.unpackbits(data).reshape(ROWS, COLUMNS)
        for row in range(ROWS):
            line = np.repeat(255 * bits[row, self._cells], 3).reshape(-1, 3)
            image[self._rows[row] : self._rows[row + 1], self._columns] = line


def read_code(image: npt.NDArray[np.uint8]) -> FrameCode | None:
    """The code in ``image``, uint8 [height, width, 3] or [height, width]; ``None`` where there is none."""
    height, width = image.shape[:2]
    rows = (TOP + CELL * _positions(ROWS)) * height
    columns = (LEFT + CELL * _positions(COLUMNS)) * width
    samples = image[rows.astype(int)[:, None], columns.astype(int)[None, :]].astype(np.float32)
    if samples.ndim == 3:
        samples = samples.mean(axis=2)
    brightness = samples.reshape(ROWS, _SAMPLES, COLUMNS, _SAMPLES).mean(axis=(1, 3))
    data = np.packbits(brightness.ravel() > 127.5).tobytes()
    payload, check = data[: _PAYLOAD.size], data[_PAYLOAD.size :]
    if _CHECK.unpack(check)[0] != zlib.crc32(payload):
        return None
    return FrameCode(*_PAYLOAD.unpack(payload))


def _positions(cells: int) -> npt.NDArray[np.float64]:
    """Where to look along one side, in cells: some points in the middle half of each."""
    within = 0.25 + 0.5 * (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    return (np.arange(cells)[:, None] + within[None, :]).ravel()
