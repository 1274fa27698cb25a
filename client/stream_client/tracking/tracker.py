"""What follows detections from frame to frame."""

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from stream_client.frames import Detections


@runtime_checkable
class Tracker(Protocol):
    """Gives detections their identity. One for each stream; for one thread."""

    def update(self, detections: Detections, timestamp: int) -> npt.NDArray[np.int64]:
        """The track of each detection, int64 [n], -1 for none; ``timestamp`` is the frame's, in µs, increasing."""
