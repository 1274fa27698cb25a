"""The newest frame of a run, as JPEG, for those who follow. Nothing is encoded when nobody does."""

import threading

import numpy as np
from PIL import Image as PillowImage

from kserve_wire.pictures.jpeg import encode_jpeg
from stream_client.frames import Image, Result, StreamInfo
from stream_client.web.streams.followers import Followers

MAX_SIDE = 960
QUALITY = 75


class Preview:
    """A sink that keeps the newest image. Safe from any thread."""

    name = "preview"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoding = threading.Lock()
        self.followers: Followers[int] = Followers()
        """Who is told the index of each frame."""
        self._index = -1
        self._image: Image | None = None
        self._encoded: tuple[int, bytes] = (-1, b"")

    def open(self, info: StreamInfo) -> None:
        """Nothing to prepare."""

    def write(self, result: Result) -> bool:
        """Keep the image, and tell those who follow its index."""
        with self._lock:
            self._index, self._image = result.frame.index, result.image
        self.followers.put(result.frame.index)
        return True

    def close(self) -> None:
        """Nothing to close: the last image stays."""

    def jpeg(self) -> bytes | None:
        """The newest image, at most :data:`MAX_SIDE` pixels wide and high; ``None`` before the first frame.

        Takes some milliseconds: not for the event loop. Those who watch the same frame share one encoding.
        """
        with self._encoding:
            with self._lock:
                index, image = self._index, self._image
            if image is None:
                return None
            if self._encoded[0] != index:
                self._encoded = (index, _encoded(image))
            return self._encoded[1]


def _encoded(image: Image) -> bytes:
    shown = PillowImage.fromarray(image)
    shown.thumbnail((MAX_SIDE, MAX_SIDE), PillowImage.Resampling.BILINEAR)
    return encode_jpeg(np.asarray(shown), QUALITY)
