"""Finds poses without MediaPipe: with the graph server, one frame at a time."""

import time
from types import TracebackType

import numpy as np
import numpy.typing as npt

from stream_client.compat.streamposeml.keypoints import Pose
from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Frame, Image
from stream_client.landmarks.decoder import LandmarkDecoder
from stream_client.processing.requests import Converter, converter
from stream_client.transport.base import Request
from stream_client.transport.one_by_one import OneByOne
from stream_client.transport.options import EMBEDDED, TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.transport.session import connect

_TIMEOUT = 30.0
"""Seconds to wait for the landmarks of a frame. The first frame is the slowest."""


class MediaPipeClient:
    """The pose of a frame, tracked and smoothed from one frame to the next. A context manager; for one thread.

    ``grpc_address`` is a server's ``host:port`` with the graph ``holisticLandmarks``; by default a local graph server
    starts with the first frame, and ends with :meth:`close` or with the program. A ``dummy_client`` finds nothing: it
    is for programs that bring keypoints.
    """

    def __init__(self, *, dummy_client: bool = False, grpc_address: str = EMBEDDED) -> None:
        self.dummy_client = dummy_client
        self._address = grpc_address
        self._server = EmbeddedServer()
        self._session: OneByOne | None = None
        self._convert: Converter | None = None
        self._decoder = LandmarkDecoder()
        self._index = 0
        self._last = 0

    def __enter__(self) -> "MediaPipeClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, image: npt.NDArray[np.uint8]) -> Pose | None:
        """The pose in an image as OpenCV gives it, BGR uint8 [height, width, 3]; ``None``: nobody is seen.

        Raises :class:`.StreamClientError` where the server fails; the next call connects anew.
        """
        if self.dummy_client:
            raise ConfigurationError("a MediaPipeClient with dummy_client=True takes no frames: leave dummy_client out")
        frame = self._frame(_rgb(image))
        try:
            session, convert = self._open()
            request = Request(frame.timestamp, convert(frame))
            _, outputs = session.ask(request, session.encode(request))
        except StreamClientError:
            self._close_session()
            raise
        size = (frame.image.shape[1], frame.image.shape[0])
        sent = request.inputs[0].array
        landmarks = self._decoder.decode(outputs, (sent.shape[1], sent.shape[0]), size, frame.timestamp)
        return None if landmarks is None else Pose(landmarks.pose[:, :3].astype(np.float64), size)

    def close(self) -> None:
        """End the session, and the local server if there is one. Safe twice."""
        self._close_session()
        self._server.close()

    def _frame(self, image: Image) -> Frame:
        self._last = max(time.time_ns() // 1000, self._last + 1)
        frame = Frame(self._index, self._last, image, time.monotonic())
        self._index += 1
        return frame

    def _open(self) -> tuple[OneByOne, Converter]:
        if self._session is None or self._convert is None:
            address = self._address
            if address == EMBEDDED:
                if not self._server.address:
                    self._server.start()
                address = self._server.address
            session = connect(TransportOptions(address, model_name=LANDMARK_GRAPH))
            self._convert = converter(session, ())
            self._session = OneByOne(session, timeout=_TIMEOUT)
            self._session.open()
            self._decoder = LandmarkDecoder()
        return self._session, self._convert

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _rgb(image: npt.NDArray[np.uint8]) -> Image:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ConfigurationError(f"an image is BGR uint8 [height, width, 3], as cv2.imread gives it, not {what}")
    return np.ascontiguousarray(image[:, :, ::-1])
