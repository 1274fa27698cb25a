"""A buffer of frames, filled from a websocket, and landmarks without blocking the event loop.

The interface of seed programs' ``live_processing``: ``FrameBuffer``, ``producer_handler`` and ``get_frame_kps``.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kserve_wire.pictures.jpeg import decode_image
from stream_client.compat.images import to_rgb
from stream_client.errors import ConfigurationError
from stream_client.landmark_finder import LandmarkFinder
from stream_client.transport.addresses import EMBEDDED

logger = logging.getLogger(__name__)

MAX_WORKERS = 4
"""Threads that look for landmarks."""
Frame = npt.NDArray[np.uint8]
"""BGR uint8 [height, width, 3], as OpenCV gives it."""

keypoints_detection_executor = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="keypoints")


class FrameBuffer:
    """The newest ``max_size`` frames by their number, from 0. Safe across threads and tasks.

    >>> buffer = FrameBuffer(max_size=2)
    >>> for level in range(3):
    ...     buffer.add_frame(np.full((1, 1, 3), level, np.uint8))
    >>> buffer.oldest_idx, buffer.latest_idx, buffer.get_frame(0) is None
    (1, 2, True)
    """

    def __init__(self, max_size: int) -> None:
        if not isinstance(max_size, int) or max_size < 1:
            raise ConfigurationError(f"max_size is 1 or more frames, not {max_size!r}")
        self._max_size = max_size
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._latest_idx = -1
        self._lock = threading.Lock()

    def add_frame(self, frame: Frame) -> None:
        """Take a frame; the oldest goes when the buffer is full. The frame must not change afterwards."""
        with self._lock:
            self._latest_idx += 1
            self._frames[self._latest_idx] = frame
            if len(self._frames) > self._max_size:
                self._frames.popitem(last=False)

    def get_frame(self, idx: int) -> Frame | None:
        """The frame of that number; ``None`` if it is not here any more, or not yet."""
        with self._lock:
            return self._frames.get(idx)

    @property
    def latest_idx(self) -> int:
        """The number of the newest frame; -1 while there is none."""
        return self._latest_idx

    @property
    def oldest_idx(self) -> int:
        """The number of the oldest frame that is here; -1 while there is none."""
        with self._lock:
            return next(iter(self._frames), -1)

    def clear(self) -> None:
        """Forget all frames and begin at 0."""
        with self._lock:
            self._frames.clear()
            self._latest_idx = -1


class WebSocket(Protocol):
    """What is used of a Starlette websocket."""

    async def receive_bytes(self) -> bytes:
        """The next binary message."""


class LandmarkerProcessor(Protocol):
    """Finds the landmarks of a frame, BGR uint8 [height, width, 3]."""

    def process(self, frame: Frame, timestamp_ms: int) -> npt.NDArray[np.float32]:
        """The landmarks; ``timestamp_ms`` is -1 where none is known."""


class HolisticProcessor:
    """Pose and hands of a frame by the graph ``holisticLandmarks``. A context manager, as :class:`.LandmarkFinder`."""

    def __init__(self, grpc_address: str = EMBEDDED) -> None:
        self._finder = LandmarkFinder(grpc_address)

    def __enter__(self) -> "HolisticProcessor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def process(self, frame: Frame, timestamp_ms: int = -1) -> npt.NDArray[np.float32]:
        """float32 [75, 3] in pixels: 33 of the pose, 21 of the left hand, 21 of the right; NaN where not seen.

        Raises :class:`.StreamClientError` for what is no image, and where the server fails.
        """
        landmarks = self._finder.find(to_rgb(frame), None if timestamp_ms < 0 else timestamp_ms * 1000)
        if landmarks is None:
            return np.full((75, 3), np.nan, np.float32)
        return landmarks.pixels().astype(np.float32)

    def close(self) -> None:
        """End the session, and the local server if there is one."""
        self._finder.close()


async def producer_handler(websocket: WebSocket, buffer: FrameBuffer) -> None:
    """Put the JPEG frames of a websocket into ``buffer`` until it closes or fails; other messages are skipped."""
    loop = asyncio.get_running_loop()
    skipped = 0
    while True:
        try:
            data = await websocket.receive_bytes() or b""  # None: a text message, with some servers
        except KeyError:  # a text message, with the others
            data = b""
        except Exception as error:  # noqa: BLE001 - each library has its own for a closed socket
            logger.info("the websocket ended: %s: %s; messages skipped: %d", type(error).__name__, error, skipped)
            return
        try:
            image = await loop.run_in_executor(None, decode_image, data)
        except ValueError as error:
            skipped += 1
            if skipped == 1:
                logger.warning("a message is skipped: %s", error)
            continue
        buffer.add_frame(np.ascontiguousarray(image[:, :, ::-1]))


async def get_frame_kps(
    mp_processor: LandmarkerProcessor, frame: Frame, timestamp_ms: int = -1
) -> npt.NDArray[np.float32]:
    """The landmarks of ``frame``, found in one of ``MAX_WORKERS`` threads."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(keypoints_detection_executor, mp_processor.process, frame, timestamp_ms)
