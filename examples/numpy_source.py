"""Frames that a program makes: an iterator loses none, a function is live.

python examples/numpy_source.py
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stream_client import StreamClient, TransportOptions

ECHO = TransportOptions("embedded", model_name="passThrough")


def gradient(count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """RGB, uint8 [height, width, 3]."""
    for index in range(count):
        frame = np.zeros((120, 160, 3), np.uint8)
        frame[:, :, 0] = index
        yield frame


with StreamClient(gradient(50), transport=ECHO) as client:
    levels = [int(result.image[0, 0, 0]) for result in client]
print(f"{len(levels)} frames came back, in order: {levels == list(range(50))}")
