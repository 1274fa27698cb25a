"""Finds poses without MediaPipe: with the graph server, one frame at a time."""

from types import TracebackType

import numpy as np
import numpy.typing as npt

from stream_client.compat.images import to_rgb
from stream_client.compat.streamposeml.keypoints import Pose
from stream_client.errors import ConfigurationError
from stream_client.landmark_finder import LandmarkFinder
from stream_client.transport.addresses import EMBEDDED


class MediaPipeClient:
    """The pose of a frame, tracked and smoothed from one frame to the next. A context manager.

    ``grpc_address`` is a server's ``host:port`` with the graph ``holisticLandmarks``; by default a local graph server
    starts with the first frame, and ends with :meth:`close` or with the program. A ``dummy_client`` finds nothing: it
    is for programs that bring keypoints.
    """

    def __init__(self, *, dummy_client: bool = False, grpc_address: str = EMBEDDED) -> None:
        self.dummy_client = dummy_client
        self._finder = LandmarkFinder(grpc_address)

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
        landmarks = self._finder.find(to_rgb(image))
        return None if landmarks is None else Pose(landmarks.pose[:, :3].astype(np.float64), landmarks.size)

    def close(self) -> None:
        """End the session, and the local server if there is one. Safe twice."""
        self._finder.close()
