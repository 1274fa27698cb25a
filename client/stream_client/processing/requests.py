"""From a frame's picture to the tensors of its request."""

from collections.abc import Callable, Sequence

from stream_client.frames import Image, Tensor
from stream_client.landmarks.decoder import coordinate_picture
from stream_client.transport.servable import COORDINATES
from stream_client.transport.session import Session

Converter = Callable[[Image], Sequence[Tensor]]


def converter(session: Session, steps: Sequence[Callable[[Image], Image]]) -> Converter:
    """What ``session`` takes of a picture that has gone through ``steps``."""
    wants_coordinates = session.servable.gives_landmarks

    def convert(image: Image) -> Sequence[Tensor]:
        for step in steps:
            image = step(image)
        tensor = session.image_format.to_tensor(image)
        if not wants_coordinates:
            return (tensor,)
        height, width = tensor.array.shape[:2]
        return tensor, Tensor(COORDINATES, "UINT8", coordinate_picture(width, height))

    return convert
