"""The newest frame of a run, as JPEG, for those who follow. Nothing is encoded when nobody does."""

from stream_client.frames import Result, StreamInfo
from stream_client.newest_image import NewestImage
from stream_client.web.streams.followers import Followers

MAX_SIDE = 960


class Preview:
    """A sink that keeps the newest image. Safe from any thread."""

    name = "preview"

    def __init__(self) -> None:
        self.followers: Followers[int] = Followers()
        """Who is told the index of each frame."""
        self._image = NewestImage(MAX_SIDE)

    def open(self, info: StreamInfo) -> None:
        """Nothing to prepare."""

    def write(self, result: Result) -> bool:
        """Keep the image, and tell those who follow its index."""
        self._image.put(result.frame.index, result.image)
        self.followers.put(result.frame.index)
        return True

    def close(self) -> None:
        """Nothing to close: the last image stays."""

    def jpeg(self) -> bytes | None:
        """The newest image, at most :data:`MAX_SIDE` pixels wide and high; ``None`` before the first frame.

        See :meth:`.NewestImage.jpeg`.
        """
        return self._image.jpeg()
