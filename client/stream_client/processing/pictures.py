"""Pictures that this side makes: of frames that were passed on, and where the server answers with data alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kserve_wire.pictures.decoder import PictureDecoder
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Frame, Image, Tensor
from stream_client.landmarks.persons import OUTPUTS
from stream_client.transport.servable import Servable
from stream_client.util.extras import install_command
from stream_client.util.planes import PlaneImages

Size = tuple[int, int]
"""Width and height in pixels."""
Painter = Callable[[Image, Mapping[str, Tensor], Size], Image]
"""Draws what the outputs say on an image; the server saw one of that size."""


class Pictures:
    """Decodes frames that were passed on, in the order in which they were sent, and draws with ``paint``."""

    wanted = True
    """Whether anybody looks at images."""
    keeps_planes = False
    """Whether those who look take planes, too."""

    def __init__(self, paint: Painter | None = None) -> None:
        self._decoder = PictureDecoder()
        self.image = PlaneImages()
        """Makes the image that planes show."""
        self._paint = paint

    def decoded(self, frame: Frame) -> Frame:
        """The frame with pixels. It stays black where they cannot be decoded."""
        if frame.planes is not None:
            return replace(frame, image=self.image(frame.planes))
        if frame.encoded is None:
            return frame
        try:
            image = self._decoder.picture(frame.encoded)
        except ValueError as error:
            raise StreamClientError(str(error), option="wire", value="jpeg") from error
        return frame if image is None else replace(frame, image=image)

    def skip(self, frame: Frame) -> None:
        """Take a frame that nobody looks at, for those that are made from it."""
        if frame.encoded is not None:
            self._decoder.take(frame.encoded)

    def painted(self, image: Image, outputs: Mapping[str, Tensor], sent: Size) -> Image:
        """The image with what the outputs say."""
        return image if self._paint is None else self._paint(image, outputs, sent)


class PlanePictures(Pictures):
    """Where all that look at images take planes, none are made of these."""

    keeps_planes = True

    def decoded(self, frame: Frame) -> Frame:
        """The frame with pixels, or with its planes alone."""
        return frame if frame.planes is not None else super().decoded(frame)


class NoPictures(Pictures):
    """Where nobody looks at images, nothing is decoded and nothing drawn."""

    wanted = False

    def decoded(self, frame: Frame) -> Frame:
        """The frame as it is."""
        return frame

    def skip(self, frame: Frame) -> None:
        """Nothing to do."""


def gives_data_alone(servable: Servable) -> bool:
    """Whether the answers say who is there and have no picture, so that this side draws."""
    return servable.gives_persons and all(spec.name in OUTPUTS for spec in servable.outputs)


def pictures_for(servable: Servable, *, wanted: bool, planes: bool) -> Pictures:
    """What makes pictures of the answers of ``servable``; ``planes``: those are as good as images.

    Raises :class:`.ConfigurationError` without OpenCV.
    """
    if not wanted:
        return NoPictures()
    if not gives_data_alone(servable):
        return PlanePictures() if planes else Pictures()
    try:
        from stream_client.processing.painting import paint_persons
    except ImportError as error:
        raise ConfigurationError(
            f"landmarks are drawn with OpenCV: {install_command('embedded')}", option="return", value="picture"
        ) from error
    return Pictures(paint_persons)
