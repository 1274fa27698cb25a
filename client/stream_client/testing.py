"""Fakes for the tests of programs that use this package: no server, no gRPC, no camera.

>>> from stream_client import StreamClient
>>> fake = FakeTransport(lambda request: {"scores": np.array([[0.25, 0.75]], np.float32)})
>>> labels = []
>>> client = StreamClient(frames(3), lambda result: labels.append(result.label.name), fake, label_names=["no", "yes"])
>>> client.run().ledger.delivered, labels, len(fake.requests)
(3, ['yes', 'yes', 'yes'], 3)
"""

from collections.abc import Iterator

import numpy as np

from stream_client.frames import Image
from stream_client.transport.base import Answer, Listener, Request
from stream_client.transport.function import FunctionTransport, ModelFunction, Outputs

__all__ = ["FakeTransport", "ModelFunction", "Outputs", "echo", "frames"]


def frames(count: int, width: int = 64, height: int = 48) -> Iterator[Image]:
    """``count`` different frames, RGB uint8 [height, width, 3]: frame ``i`` is gray, of level ``i`` modulo 256."""
    for index in range(count):
        yield np.full((height, width, 3), index % 256, np.uint8)


def echo(request: Request) -> Outputs:
    """The frame comes back as ``output``."""
    return {"output": request.inputs[0].array}


class FakeTransport(FunctionTransport):
    """A server that is a function, and keeps what it was sent. Give it to ``StreamClient`` as ``transport``.

    ``function`` answers each request with arrays by output name, or with an :class:`~stream_client.Answer`, to answer
    late or twice. It may raise errors of :mod:`stream_client`, as a server would cause them:
    :class:`~stream_client.ServerError` and :class:`~stream_client.DeadlineError` fail the frame,
    :class:`~stream_client.ConnectionLostError` loses the server, which is there again at once. Other exceptions end the
    run. For a servable with metadata, put the fake into a :class:`~stream_client.Session`.
    """

    def __init__(self, function: ModelFunction = echo) -> None:
        super().__init__(self._keep)
        self._respond = function
        self.requests: list[Request] = []
        """Every request, in the order in which the function was called for it."""
        self.sessions = 0
        """How often the client has connected."""

    def open(self, listener: Listener, *, within: float = float("inf"), request_timeout: float | None = None) -> None:
        """Begin a session."""
        self.sessions += 1
        super().open(listener, within=within, request_timeout=request_timeout)

    def _keep(self, request: Request) -> Outputs | Answer:
        self.requests.append(request)
        return self._respond(request)
