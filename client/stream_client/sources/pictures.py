"""PyAV's frames as RGB arrays."""

from typing import Any

import av
import numpy as np

from stream_client.frames import Image


def rgb_image(frame: av.VideoFrame) -> Image:
    """The frame in RGB, upright: a view on FFmpeg's own buffer unless the frame is rotated.

    FFmpeg converts straight into the buffer that the array shows, and the array keeps it alive.
    """
    height, width = frame.height, frame.width
    # Limited-range video is told apart from full-range video by the frame's own colour properties.
    converted = frame.reformat(format="rgb24")
    plane = converted.planes[0]
    rows: Any = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    image = rows[:height, : 3 * width].reshape(height, width, 3)
    quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4
    # FFmpeg gives the angle counter-clockwise, as NumPy takes it.
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
