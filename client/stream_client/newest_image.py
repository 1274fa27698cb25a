"""The newest image of a run as JPEG, for those who look. Nothing is encoded when nobody does."""

import threading

import numpy as np
from PIL import Image as PillowImage

from kserve_wire.pictures.jpeg import encode_jpeg
from stream_client.frames import Image

_QUALITY = 75


class NewestImage:
    """Keeps one image. ``max_side`` is the most pixels that its JPEG is wide and high. Safe from any thread."""

    def __init__(self, max_side: int) -> None:
        self._max_side = max_side
        self._lock = threading.Lock()
        self._encoding = threading.Lock()
        self._index = -1
        self._image: Image | None = None
        self._encoded: tuple[int, bytes] = (-1, b"")

    def put(self, index: int, image: Image) -> None:
        """Keep the image of the frame ``index``, RGB uint8 [height, width, 3], instead of the one before."""
        with self._lock:
            self._index, self._image = index, image

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._image = None

    def jpeg(self) -> bytes | None:
        """The newest image; ``None`` where there is none.

        Takes some milliseconds: not for an event loop. Those who ask for the same frame share one encoding.
        """
        with self._encoding:
            with self._lock:
                index, image = self._index, self._image
            if image is None:
                return None
            if self._encoded[0] != index:
                self._encoded = (index, self._encode(image))
            return self._encoded[1]

    def _encode(self, image: Image) -> bytes:
        shown = PillowImage.fromarray(image)
        shown.thumbnail((self._max_side, self._max_side), PillowImage.Resampling.BILINEAR)
        return encode_jpeg(np.asarray(shown), _QUALITY)
