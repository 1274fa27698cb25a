"""What a decoded frame gives to be sent: an RGB image, or its planes as they were decoded."""

from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import numpy as np

from stream_client.frames import Image, PlaneFormat, Planes
from stream_client.sources.feed import FeedFrame
from stream_client.util.media import ImageOptions, RgbImages
from stream_client.util.planes import PlaneConverter

_BLACK = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Pixels:
    """Of one frame. The image is black and takes no memory where there are planes, or where nothing was decoded."""

    image: Image
    planes: Planes | None = None


class PixelMaker:
    """Makes the pixels of a stream's frames. For one thread. ``rgb`` makes its images."""

    def __init__(self, images: ImageOptions | None = None) -> None:
        self.rgb = RgbImages(images)
        self._planes: PlaneConverter | None = None
        self._black: Image = _BLACK

    def give_planes(self, wanted: PlaneFormat) -> None:
        """Give the planes of frames that are upright and of an even size, and that nothing else has to be done with."""
        self._planes = PlaneConverter(wanted)

    def __call__(self, fed: FeedFrame, sample_aspect_ratio: Fraction | None) -> Pixels | None:
        """The pixels; ``None``, counted and said once, for a frame that FFmpeg cannot convert."""
        if fed.encoded is not None:
            return Pixels(self._blank(fed.frame))
        planes = self._taken(fed.frame, sample_aspect_ratio)
        if planes is not None:
            return Pixels(self._blank(fed.frame), planes)
        image = self.rgb(fed.frame, sample_aspect_ratio)
        return None if image is None else Pixels(image)

    def _taken(self, frame: av.VideoFrame, sample_aspect_ratio: Fraction | None) -> Planes | None:
        if self._planes is None or self.rgb.changes(frame, sample_aspect_ratio):
            return None
        try:
            return self._planes(frame)
        except (OSError, av.error.FFmpegError, ValueError, MemoryError):
            return None  # the conversion to RGB says why

    def _blank(self, frame: av.VideoFrame) -> Image:
        """A black image of that size, the same one as long as the size stays."""
        if self._black.shape[:2] != (frame.height, frame.width):
            self._black = np.broadcast_to(_BLACK, (frame.height, frame.width, 3))
        return self._black
