"""Pictures as encoders want them."""

import av
import numpy as np
from av.video.reformatter import Interpolation

from stream_client.frames import Image
from stream_client.pixel_format import PixelFormatConverter


class YuvFrames:
    """Makes PyAV's frames in yuv420p of pictures. Of one thread."""

    def __init__(self) -> None:
        self._convert = PixelFormatConverter("yuv420p", Interpolation.POINT)

    def __call__(self, image: Image) -> av.VideoFrame:
        """The picture as a frame without a timestamp; its size must be even."""
        return self._convert(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"))


def even(image: Image) -> Image:
    """yuv420p needs even sizes: an odd last row or column is repeated."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
