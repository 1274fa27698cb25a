"""The landmarks of single frames: one in, one answer out."""

import threading
import time
from types import TracebackType

import numpy as np

from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Frame, Image, Landmarks
from stream_client.landmarks.decoder import LandmarkDecoder
from stream_client.pipeline.connector import Connector
from stream_client.processing.requests import Converter, converter
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.base import Request
from stream_client.transport.one_by_one import OneByOne
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH

_TIMEOUT = 30.0
"""Seconds to wait for the landmarks of a frame. The first frame is the slowest."""
_FURTHER = 5.0
"""Seconds to wait for all outputs after the first. The graph gives each of them for each frame."""


class LandmarkFinder:
    """Finds the landmarks of one frame after another, tracked and smoothed as in a stream. A context manager.

    ``grpc_address`` is a server's ``host:port`` with the graph ``holisticLandmarks``. By default a local graph server
    starts with the first frame; it ends with :meth:`close`, or with the program. May be called from any thread; frames
    are looked at one at a time, in the order of the calls.

    >>> with LandmarkFinder() as finder:  # doctest: +SKIP
    ...     landmarks = finder.find(image)
    """

    def __init__(self, grpc_address: str = EMBEDDED) -> None:
        server = EmbeddedServer(servable=LANDMARK_GRAPH) if grpc_address == EMBEDDED else None
        self._connector = Connector(TransportOptions(grpc_address, model_name=LANDMARK_GRAPH), server)
        self._session: tuple[OneByOne, Converter] | None = None
        self._open = False
        self._decoder = LandmarkDecoder()
        self._lock = threading.Lock()
        self._index = 0
        self._last = 0

    def __enter__(self) -> "LandmarkFinder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, image: Image, timestamp: int | None = None) -> Landmarks | None:
        """The landmarks of ``image``, RGB uint8 [height, width, 3]; ``None``: nobody is seen.

        ``timestamp`` is in µs and increases; without it, it is the time of the call. Raises
        :class:`.StreamClientError` where the server fails; the next call connects anew, to a new local server if that
        has ended.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            what = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ConfigurationError(f"an image is uint8 [height, width, 3], not {what}")
        with self._lock:
            frame = self._frame(np.ascontiguousarray(image), timestamp)
            try:
                session, convert = self._opened()
                request = Request(frame.timestamp, convert(frame))
                _, outputs = session.ask(request, session.encode(request))
            except StreamClientError:
                self._end()
                raise
            sent = request.inputs[0].array
            shown = frame.image.shape
            return self._decoder.decode(outputs, (sent.shape[1], sent.shape[0]), (shown[1], shown[0]), frame.timestamp)

    def close(self) -> None:
        """End the session, and the local server if there is one. Safe twice."""
        with self._lock:
            self._end()
            self._connector.close()

    def _frame(self, image: Image, timestamp: int | None) -> Frame:
        wanted = time.time_ns() // 1000 if timestamp is None else timestamp
        self._last = max(wanted, self._last + 1)
        frame = Frame(self._index, self._last, image, time.monotonic())
        self._index += 1
        return frame

    def _opened(self) -> tuple[OneByOne, Converter]:
        if self._session is None:
            session = self._connector.connect().session
            self._session = OneByOne(session, timeout=_TIMEOUT, further=_FURTHER), converter(session, ())
        if not self._open:
            self._session[0].open()  # a local server that has ended is started again here
            self._open = True
            self._decoder = LandmarkDecoder()
        return self._session

    def _end(self) -> None:
        self._open = False
        if self._session is not None:
            self._session[0].close()
