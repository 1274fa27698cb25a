"""A frame there and back, through one of the transports."""

import threading
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from stream_client.errors import DeadlineError, StreamClientError
from stream_client.frames import Image, Tensor
from stream_client.transport.base import Answer, Closed, Event, Failure, Request
from stream_client.transport.image_format import ImageFormat
from stream_client.transport.session import Session

_INTERVAL = 33_333  # µs between the frames' timestamps


@dataclass(frozen=True, slots=True)
class Probe:
    """Two frames, one after the other: seconds to the first output of each, and the outputs of the last."""

    first: float
    second: float
    outputs: dict[str, Tensor]


class _Answers:
    """Events of a session, for a thread that waits for one frame at a time."""

    def __init__(self, expected: frozenset[str]) -> None:
        self._expected = expected
        self._changed = threading.Condition()
        self._timestamp: int | None = None
        self._outputs: dict[str, Tensor] = {}
        self._answered: float | None = None
        self._complete = False
        self._error: StreamClientError | None = None

    def expect(self, timestamp: int) -> None:
        with self._changed:
            self._timestamp, self._outputs, self._answered, self._complete = timestamp, {}, None, False

    def __call__(self, event: Event) -> None:
        with self._changed:
            match event:
                case Answer() if event.timestamp == self._timestamp:
                    self._outputs.update(event.outputs)
                    self._answered = self._answered or event.received
                    self._complete = event.complete or self._expected <= self._outputs.keys()
                case Failure():
                    self._error = event.error
                case Closed():
                    self._error = self._error or event.error or DeadlineError("the server ended the call")
            self._changed.notify_all()

    def wait(self, timeout: float, patience: float) -> tuple[float, dict[str, Tensor]]:
        """The time of the first output, and all outputs within ``patience`` seconds of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._answered is not None, timeout)
            if self._answered is not None:
                self._changed.wait_for(lambda: self._complete or self._error is not None, patience)
                return self._answered, dict(self._outputs)
            raise self._error or DeadlineError(f"no answer within {timeout:g} s")


def probe(session: Session, image: Image, *, timeout: float, patience: float = 0.2) -> Probe:
    """Send ``image``, RGB uint8 [height, width, 3], twice; raises :class:`StreamClientError`.

    The first frame includes work that servers do only once. ``timeout`` and ``patience`` (for further outputs) are in
    seconds.
    """
    tensor = session.image_format.to_tensor(fitting(image, session.image_format))
    answers = _Answers(frozenset(spec.name for spec in session.servable.outputs))
    timestamp = time.time_ns() // 1000
    times: list[float] = []
    outputs: dict[str, Tensor] = {}
    session.transport.open(answers, request_timeout=timeout)
    try:
        for number in range(2):
            request = Request(timestamp + number * _INTERVAL, (tensor,))
            answers.expect(request.timestamp)
            data = session.transport.encode(request)
            sent = time.monotonic()
            session.transport.send(request.timestamp, data)
            answered, outputs = answers.wait(timeout, patience)
            times.append(answered - sent)
    finally:
        session.transport.close()
    return Probe(times[0], times[1], outputs)


def fitting(image: Image, image_format: ImageFormat) -> Image:
    """``image`` in the size that a model with fixed dimensions takes."""
    height, width = image_format.height or image.shape[0], image_format.width or image.shape[1]
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(PillowImage.fromarray(image).resize((width, height)))
