"""A model that is a function of this process: no server, no network."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kserve_wire.datatypes import DATATYPES
from stream_client.errors import DeadlineError, ProtocolError, ServerError, StreamClientError, TransportError
from stream_client.frames import Tensor
from stream_client.transport.base import Answer, Closed, Failure, Listener, Request
from stream_client.util.bounded_queue import BoundedQueue

Outputs = Mapping[str, npt.NDArray[Any]]
"""Arrays by output name, of any dtype that KServe v2 has."""
ModelFunction = Callable[[Request], Outputs | Answer]
"""Answers a request. ``request.inputs[0].array`` is the frame, RGB uint8 [height, width, 3], not to be changed."""


class FunctionTransport:
    """Calls ``function`` for one request after another, in a thread of its own.

    Implements :class:`~stream_client.transport.base.Transport`. A :class:`~stream_client.errors.ServerError` or
    :class:`~stream_client.errors.DeadlineError` that the function raises fails the frame; another
    :class:`~stream_client.errors.TransportError` ends the session, as a server that is lost; anything else ends the
    run. A call cannot be interrupted. One that lasts longer than ``CLOSE_SECONDS`` after a stop is abandoned.
    """

    QUEUE = 256
    """How many requests may wait for the function. The client's window keeps the number far below."""
    CLOSE_SECONDS = 0.5

    def __init__(self, function: ModelFunction) -> None:
        self._function = function
        self._encoded: dict[int, Request] = {}
        self._requests: BoundedQueue[Request] = BoundedQueue(self.QUEUE)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def upload_rate(self) -> float | None:
        """None: there is no network."""
        return None

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Start the thread."""
        self._encoded.clear()
        self._requests = BoundedQueue(self.QUEUE)
        self._closed = threading.Event()
        session = (self._requests, self._closed, listener)
        self._thread = threading.Thread(target=self._answer_all, args=session, name="model function", daemon=True)
        self._thread.start()

    def encode(self, request: Request) -> bytes:
        """Keep the request for :meth:`send`. Nothing is serialised, so there are no bytes."""
        self._encoded[request.timestamp] = request
        return b""

    def send(self, timestamp: int, data: bytes) -> None:
        """Queue for the function."""
        self._requests.put(self._encoded.pop(timestamp))

    def finish(self) -> None:
        """Closed once every request is answered."""
        self._requests.close()

    def interrupt(self) -> None:
        """Nothing to do: :meth:`open` does not wait."""

    def close(self) -> None:
        """End the thread; what is queued is given up."""
        self._closed.set()
        self._requests.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(self.CLOSE_SECONDS)

    def _answer_all(self, requests: BoundedQueue[Request], closed: threading.Event, listener: Listener) -> None:
        end: StreamClientError | None = None
        while end is None and (request := requests.get()) is not None and not closed.is_set():
            try:
                event: Answer | Failure = self._answer(request)
            except (ServerError, DeadlineError) as error:
                event = Failure(request.timestamp, error)
            except (TransportError, ProtocolError) as error:
                end = error
                continue
            except Exception as error:  # noqa: BLE001 - ends the run, with its cause
                end = ProtocolError(f"the model function failed: {type(error).__name__}: {error}")
                end.__cause__ = error
                continue
            if not closed.is_set():
                listener(event)
        requests.close()
        if not closed.is_set():
            listener(Closed(end))

    def _answer(self, request: Request) -> Answer:
        result = self._function(request)
        if isinstance(result, Answer):
            return result
        received = time.monotonic()
        if not isinstance(result, Mapping):
            raise ProtocolError(
                f"the model function returned {type(result).__name__}: arrays by output name or an Answer are expected"
            )
        outputs = {name: _tensor(name, array) for name, array in result.items()}
        size = sum(tensor.array.nbytes for tensor in outputs.values())
        return Answer(request.timestamp, outputs, received, time.monotonic(), complete=True, size=size)


def _tensor(name: str, values: npt.NDArray[Any]) -> Tensor:
    array = np.asarray(values)
    datatype = DATATYPES.get(array.dtype)
    if datatype is None:
        raise ProtocolError(f"the model function returned {name!r} as {array.dtype}, which KServe v2 does not have")
    return Tensor(name, datatype, array)
