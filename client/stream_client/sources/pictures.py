"""PyAV's frames as RGB arrays."""

from typing import Any

import av
import numpy as np

from stream_client.frames import Image
from stream_client.pixel_format import PixelFormatConverter


class RgbImages:
    """Makes a stream's pictures, upright and in RGB. Of one thread."""

    def __init__(self) -> None:
        self._convert = PixelFormatConverter("rgb24")

    def __call__(self, frame: av.VideoFrame) -> Image:
        """The frame's picture: a view on FFmpeg's own buffer unless the frame is rotated.

        FFmpeg converts straight into the buffer that the array shows, and the array keeps it alive.
        """
        height, width = frame.height, frame.width
        # Limited-range video is told apart from full-range video by the frame's own colour properties.
        plane = self._convert(frame).planes[0]
        rows: Any = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        image = rows[:height, : 3 * width].reshape(height, width, 3)
        quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4
        # FFmpeg gives the angle counter-clockwise, as NumPy takes it.
        return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
