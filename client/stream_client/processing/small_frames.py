"""Small frames on the wire, full-size results: shrink before sending, draw on the full-size frame after.

Landmarks need no change: MediaPipe's are in 0…1 of the image's sides, and the aspect is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from stream_client.frames import Frame, Image, Tensor
from stream_client.processing.results import ImageRestorer
from stream_client.transport.image_format import ImageFormat, is_jpeg

_CHANGED = 8
"""Levels of a channel, of 255. A smaller difference is the server's rounding, for instance to YUV and back."""


def shrunk_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height in pixels with the longer at most ``max_side``, with the same aspect. Never larger than the
    original.
    """
    longer = max(width, height)
    if longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def shrink(image: Image, max_side: int) -> Image:
    """The image in the new size, each pixel the mean of those under it. ``image`` itself where it fits."""
    height, width = image.shape[:2]
    size = shrunk_size(width, height, max_side)
    if size == (width, height):
        return image
    whole = PillowImage.fromarray(image)
    if width == size[0] * (width // size[0]) and height == size[1] * (width // size[0]):
        return np.asarray(whole.reduce(width // size[0]))  # the same, several times as fast
    return np.asarray(whole.resize(size, PillowImage.Resampling.BOX))


def put_back(full: Image, sent: Image, returned: Image) -> Image:
    """``full`` with the server's drawing: the places where ``returned`` differs from ``sent``.

    Everything else keeps its full detail. An image of another size than ``sent`` is no drawing on it: it is only
    enlarged.
    """
    height, width = full.shape[:2]
    if returned.shape != sent.shape:
        return enlarged(returned, width, height)
    changed = _grown((np.maximum(sent, returned) - np.minimum(sent, returned)).max(axis=2) > _CHANGED)
    box = _bounds(changed)
    if box is None:
        return full
    top, bottom, left, right = box
    rows, columns = sent.shape[:2]
    place = (
        *(left * width // columns, top * height // rows),
        *(-(-right * width // columns), -(-bottom * height // rows)),
    )
    size = (place[2] - place[0], place[3] - place[1])
    drawing = PillowImage.fromarray(np.ascontiguousarray(returned[top:bottom, left:right])).resize(size)
    mask = PillowImage.fromarray(changed[top:bottom, left:right].astype(np.uint8) * 255).resize(size)
    whole = PillowImage.fromarray(full)
    whole.paste(drawing, place, mask)
    return np.asarray(whole)


def enlarged(image: Image, width: int, height: int) -> Image:
    """The image in a larger size, in pixels."""
    return np.asarray(PillowImage.fromarray(np.ascontiguousarray(image)).resize((width, height)))


def _grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """``mask`` with the neighbors of each true pixel. Otherwise a thin diagonal line would break into dots when
    enlarged.
    """
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    grown = rows.copy()
    grown[:, 1:] |= rows[:, :-1]
    grown[:, :-1] |= rows[:, 1:]
    return grown


def _bounds(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of the true pixels. Ends are exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


class SmallFrames:
    """Shrinks frames to at most ``max_side`` pixels, and restores results.

    ``divisor`` gives what the sides of the next frame are divided by then, one of ``divisors``.
    """

    def __init__(
        self, max_side: int | None, divisor: Callable[[], int] = lambda: 1, divisors: Sequence[int] = (1,)
    ) -> None:
        self._max_side = max_side
        self._divisor = divisor
        self._divisors = divisors

    def shrink(self, image: Image) -> Image:
        """See :func:`shrink`."""
        return shrink(image, self._side(image, self._divisor()))

    def _side(self, image: Image, divisor: int) -> int:
        longer: int = max(image.shape[:2])
        return (longer if self._max_side is None else min(longer, self._max_side)) // divisor

    def _sent_size(self, image_format: ImageFormat, image: Image, sent: Tensor) -> tuple[int, int]:
        """Width and height in pixels, without padding, of what was sent of ``image``."""
        height, width = image.shape[:2]
        sizes = [shrunk_size(width, height, self._side(image, divisor)) for divisor in self._divisors]
        if len(sizes) > 1:
            padded, rows = image_format.sent_size(sent, image)
            sizes.sort(key=lambda size: (size[1] != rows, abs(padded - size[0])))
        return sizes[0]

    def restore(self, image_format: ImageFormat, answer: Tensor, frame: Frame, sent: Tensor) -> Image:
        """The full-size image to show. ``sent`` is the request's tensor."""
        height, width = frame.image.shape[:2]
        small_width, small_height = self._sent_size(image_format, frame.image, sent)
        small = replace(frame, image=frame.image[:small_height, :small_width])  # its size counts only
        returned = image_format.to_image(answer, small)
        if (small_width, small_height) == (width, height):
            return returned
        if is_jpeg(answer):  # every pixel differs from what was sent
            return enlarged(returned, width, height)
        return put_back(frame.image, image_format.to_image(sent, small), returned)


def restorer(image_format: ImageFormat, small_frames: SmallFrames | None) -> ImageRestorer:
    """The function that makes the image to show: as returned, or on the full-size frame."""
    if small_frames is None:
        return lambda answer, frame, sent: image_format.to_image(answer, frame)
    return partial(small_frames.restore, image_format)
