"""The newest label of a stream, and its newest image while somebody looks."""

from stream_client.frames import Label, Result
from stream_client.monitoring.observer import Observer
from stream_client.newest_image import NewestImage
from stream_client.util.planes import PlaneImages

MAX_SIDE = 640


class Newest(Observer):
    """Sees what the outputs of a run get. It keeps no image while nobody looks: a fleet has many streams."""

    def __init__(self) -> None:
        self.label: Label | None = None
        """The label of the newest frame that has one."""
        self._image = NewestImage(MAX_SIDE)
        self._image_of = PlaneImages()
        self._looked_at = False

    def look(self, yes: bool) -> None:
        """Keep images from now on, or no longer."""
        self._looked_at = yes
        if not yes:
            self._image.clear()

    def jpeg(self) -> bytes | None:
        """The newest image, at most :data:`MAX_SIDE` pixels wide and high; ``None``: there is none, or nobody looks.

        See :meth:`.NewestImage.jpeg`.
        """
        return self._image.jpeg()

    def result_written(self, sink: str, result: Result, began: float, ended: float) -> None:
        """Keep what is new."""
        if result.label is not None:
            self.label = result.label
        # The image of a frame that is passed on, and that nobody decodes, is black and takes no memory.
        if self._looked_at and result.planes is not None:
            self._image.put(result.frame.index, self._image_of(result.planes))
        elif self._looked_at and result.image.strides[0]:
            self._image.put(result.frame.index, result.image)
