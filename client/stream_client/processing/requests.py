"""From a frame to the tensors of its request."""

from collections.abc import Callable, Sequence

import numpy as np

from stream_client.frames import Frame, Image, Tensor
from stream_client.landmarks.decoder import coordinate_image
from stream_client.transport.image_format import ImageFormat, encoded_tensor
from stream_client.transport.servable import COORDINATES, FRAME_TIMESTAMP
from stream_client.transport.session import Session
from stream_client.util.planes import PlaneImages

Converter = Callable[[Frame], Sequence[Tensor]]


def converter(session: Session, steps: Sequence[Callable[[Image], Image]]) -> Converter:
    """Makes the tensors for ``session``: the frame's image after ``steps``, and the other inputs of its graph."""
    servable = session.servable
    image_of = PlaneImages()

    def convert(frame: Frame) -> Sequence[Tensor]:
        tensors = [_tensor(frame, session.image_format, steps, image_of)]
        if servable.gives_landmarks:
            height, width = tensors[0].array.shape[:2]
            tensors.append(Tensor(COORDINATES, "UINT8", coordinate_image(width, height)))
        if servable.takes_timestamps:
            tensors.append(Tensor(FRAME_TIMESTAMP, "INT64", np.array([frame.timestamp], np.int64)))
        return tensors

    return convert


def _tensor(
    frame: Frame, image_format: ImageFormat, steps: Sequence[Callable[[Image], Image]], image_of: PlaneImages
) -> Tensor:
    if frame.encoded is not None:
        return encoded_tensor(image_format.name, frame.encoded)
    if frame.planes is not None and not steps:
        return image_format.planes_tensor(frame.planes)
    image = frame.image if frame.planes is None else image_of(frame.planes)
    for step in steps:
        image = step(image)
    return image_format.to_tensor(image)
