"""A frame there and back, through one of the transports."""

import time
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from stream_client.frames import Image, Tensor
from stream_client.transport.base import Request
from stream_client.transport.image_format import ImageFormat
from stream_client.transport.one_by_one import OneByOne
from stream_client.transport.session import Session

_INTERVAL = 33_333  # µs between the frames' timestamps


@dataclass(frozen=True, slots=True)
class Probe:
    """Two frames, one after the other: seconds to the first output of each, and the outputs of the last."""

    first: float
    second: float
    outputs: dict[str, Tensor]


def probe(session: Session, image: Image, *, timeout: float, further: float = 0.2) -> Probe:
    """Send ``image``, RGB uint8 [height, width, 3], twice; raises :class:`StreamClientError`.

    The first frame includes work that servers do only once. ``timeout`` and ``further`` (for further outputs) are in
    seconds.
    """
    tensor = session.image_format.to_tensor(fitting(image, session.image_format))
    conversation = OneByOne(session, timeout=timeout, further=further)
    timestamp = time.time_ns() // 1000
    times: list[float] = []
    outputs: dict[str, Tensor] = {}
    conversation.open()
    try:
        for number in range(2):
            request = Request(timestamp + number * _INTERVAL, (tensor,))
            data = conversation.encode(request)
            sent = time.monotonic()
            answered, outputs = conversation.ask(request, data)
            times.append(answered - sent)
    finally:
        conversation.close()
    return Probe(times[0], times[1], outputs)


def fitting(image: Image, image_format: ImageFormat) -> Image:
    """``image`` in the size that a model with fixed dimensions takes."""
    height, width = image_format.height or image.shape[0], image_format.width or image.shape[1]
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(PillowImage.fromarray(image).resize((width, height)))
