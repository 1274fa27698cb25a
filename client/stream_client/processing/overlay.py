"""The label, written on the image."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw

from stream_client.fonts import font_for
from stream_client.frames import Image, Label

Rgb = tuple[int, int, int]
"""Red, green and blue, 0…255."""
WHITE: Rgb = (255, 255, 255)
_MARGIN = 0.25  # of the text's height, around the text


def draw_label(image: Image, label: Label, color: Rgb = WHITE) -> Image:
    """A copy of ``image`` with ``standing 97 %`` in its top left corner, on a dark strip; repetitions after it.

    The text is 1/24 of the image's height, at least 12 pixels. Only the strip is blended, so the cost is one copy of
    the image.
    """
    height, width = image.shape[:2]
    text_of_label = f"{label.name} {100 * label.score:.0f} %"
    if label.repetitions is not None:
        text_of_label += f"  x {label.repetitions}"
    alpha = _strip(text_of_label, max(12, height // 24))
    rows, columns = min(alpha.shape[0], height), min(alpha.shape[1], width)
    drawn = image.copy()
    strip = drawn[:rows, :columns]
    text = alpha[:rows, :columns, None].astype(np.uint16)
    strip[:] = ((strip >> 2) * (255 - text) + np.array(color, np.uint16) * text) // 255
    return drawn


@lru_cache(maxsize=256)
def _strip(text: str, size: int) -> npt.NDArray[np.uint8]:
    """The text's coverage, uint8 [height, width]. A run has few different texts, so each is drawn once."""
    font = font_for(text, size)
    left, _, right, _ = font.getbbox(text)
    margin = max(2, round(size * _MARGIN))
    canvas = PillowImage.new("L", (round(right - left) + 2 * margin, sum(font.getmetrics()) + 2 * margin), 0)
    ImageDraw.Draw(canvas).text((margin - left, margin), text, fill=255, font=font)
    return np.asarray(canvas)
