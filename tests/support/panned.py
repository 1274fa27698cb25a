"""A clip as a browser's camera, whose every frame says its number, and where the picture is in it."""

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.frames import Image

WIDTH, HEIGHT = 640, 480
STEP, STEPS, FRAMES = 24, 8, 32
"""Pixels from one frame to the next: 3 % of the diagonal; frames in one direction; frames in all."""
_BITS, _CELL = 5, 20


def offset(number: int) -> int:
    """How many pixels further left the picture is than in the frame 0."""
    return STEP * (STEPS - abs(number % (2 * STEPS) - STEPS))


def panned_clip(source: Path, at: float, path: Path) -> Image:
    """Write ``path``, MJPEG: what ``source`` shows at ``at`` seconds goes to the left and back. Returns the frame 0."""
    wide = _frame(source, at)
    frames = [_numbered(wide[:, offset(number) :][:, :WIDTH], number) for number in range(FRAMES)]
    form = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "15"]
    command = ["ffmpeg", "-v", "error", *form, "-i", "-", "-q:v", "3", "-pix_fmt", "yuvj420p", str(path)]
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True)
    return frames[0]


def number_in(image: npt.NDArray[np.uint8]) -> int:
    """The number of the frame that ``image`` shows."""
    cells = image[: _CELL // 2, : 2 * _BITS * _CELL].reshape(_CELL // 2, 2 * _BITS, -1)[:, :, _CELL : 2 * _CELL]
    bits = cells.mean(axis=(0, 2)) > 127
    assert (bits[:_BITS] != bits[_BITS:]).all(), "the frame has no number"
    return int(np.packbits(bits[:_BITS], bitorder="little")[0])


def _frame(source: Path, at: float) -> Image:
    width = WIDTH + STEP * STEPS
    size = f"scale={width}:{HEIGHT}:force_original_aspect_ratio=increase,crop={width}:{HEIGHT}"
    command = ["ffmpeg", "-v", "error", "-ss", str(at), "-i", str(source), "-vf", size, "-frames:v", "1"]
    done = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(HEIGHT, width, 3)


def _numbered(image: Image, number: int) -> Image:
    """The bits of the number, then each bit's opposite, as black and white cells at the top."""
    image = image.copy()
    bits = [number >> bit & 1 for bit in range(_BITS)]
    for column, bit in enumerate([*bits, *(1 - bit for bit in bits)]):
        image[:_CELL, column * _CELL : (column + 1) * _CELL] = 255 * bit
    return image
