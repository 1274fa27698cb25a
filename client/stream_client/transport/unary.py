"""Unary calls: ``ModelInfer``, one call a frame, as many at once as the window allows."""

import math
import threading
import time
from collections.abc import Mapping, Sequence

import grpc

from kserve_wire.names import method_path
from stream_client.errors import (
    DeadlineError,
    MisplacedError,
    ProtocolError,
    StreamClientError,
    TransportError,
    as_error,
)
from stream_client.transport.base import Answer, Closed, Failure, Listener, Request
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.codec import decode_response
from stream_client.transport.link import ServableLink
from stream_client.transport.options import Parameter, TransportOptions
from stream_client.transport.status import error_of_status, no_output


class UnaryTransport:
    """Many calls over one channel. Implements :class:`~stream_client.transport.base.Transport`.

    ``parameters`` are sent with every call: each call has its own graph, and OVMS turns them into input side packets.
    ``shared_outputs``: see :class:`~stream_client.transport.link.ServableLink`.
    """

    def __init__(
        self,
        options: TransportOptions,
        model_name: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        shared_outputs: Sequence[str] = (),
        channels: Channels = OWN_CHANNELS,
    ) -> None:
        self._link = ServableLink(options, model_name, shared_outputs, channels)
        self._parameters = dict(parameters or {})
        self._request_timeout: float | None = None
        self._listener: Listener | None = None
        self._calls: set[grpc.Future[bytes]] = set()
        self._changed = threading.Condition()
        self._finishing = False
        self._closed = False

    @property
    def upload_rate(self) -> float | None:
        """Unknown: gRPC does not report when a request has left."""
        return None

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Connect."""
        self._request_timeout = request_timeout
        channel = self._link.open(within)
        self._infer: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ModelInfer"))
        self._finishing = self._closed = False
        self._listener = listener

    def encode(self, request: Request) -> bytes:
        """The request's bytes."""
        return bytes(self._link.encode(request, self._parameters))

    def send(self, timestamp: int, data: bytes) -> None:
        """Start the call."""
        with self._changed:
            if self._closed:
                return
        call = self._infer.future(data, timeout=self._request_timeout)
        with self._changed:
            self._calls.add(call)
        call.add_done_callback(lambda done: self._done(done, timestamp))

    def finish(self) -> None:
        """Closed once every call has ended."""
        with self._changed:
            self._finishing = True
            ended = not self._calls
        if ended:
            self._close_session(None)

    def interrupt(self) -> None:
        """Wait no more for a connection."""
        self._link.interrupt()

    def close(self) -> None:
        """Cancel every call and close the connection."""
        with self._changed:
            self._closed = True
            calls = list(self._calls)
        for call in calls:
            call.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._calls)
        self._link.close()

    def _done(self, call: "grpc.Future[bytes]", timestamp: int) -> None:
        """Runs in gRPC's thread."""
        lost: StreamClientError | None = None
        try:
            if not self._closed:
                lost = self._report(call, timestamp)
        except Exception as exception:  # noqa: BLE001 - gRPC would log it and go on: ends the session, with its cause
            lost = as_error(exception, TransportError, "reading answers failed")
        with self._changed:
            self._calls.discard(call)
            ended = self._finishing and not self._calls
            self._changed.notify_all()
        if lost is not None or ended:
            self._close_session(lost)

    def _report(self, call: "grpc.Future[bytes]", timestamp: int) -> StreamClientError | None:
        """Report to the listener; returns the error that ends the whole session, if it does."""
        assert self._listener is not None
        memory = self._link.memory
        received = time.monotonic()
        status = call.code()  # type: ignore[attr-defined]
        if status is not grpc.StatusCode.OK:
            details = call.details() or ""  # type: ignore[attr-defined]
            if self._link.is_region_lost(details):
                self._link.leave_memory("it does not know the memory that was registered there (a load balancer)")
                if self._send_again(timestamp):
                    return None
            error = error_of_status(status, details, self._link.address)
            if isinstance(error, TransportError) and not isinstance(error, DeadlineError):
                return error
            if memory is not None:
                (memory.late if isinstance(error, DeadlineError) else memory.failed)(timestamp)
            self._listener(Failure(timestamp, error))
            return None
        data = call.result()
        try:
            view = self._link.view
            response = decode_response(data, lambda _, name, place: view(timestamp, name, place))
            if response.id not in ("", str(timestamp)):
                raise ProtocolError(f"the server answered request {response.id[:40]!r} instead of {timestamp}")
        except MisplacedError as error:
            self._link.leave_memory(str(error))
            return None if self._send_again(timestamp) else error
        except StreamClientError as own:
            return own
        if not response.outputs:
            if memory is not None:
                memory.failed(timestamp)
            self._listener(Failure(timestamp, no_output(self._link.address)))
            return None
        if memory is not None:
            memory.answered(timestamp, response.outputs)
        parsed = time.monotonic()
        self._listener(Answer(timestamp, response.outputs, received, parsed, complete=True, size=len(data)))
        return None

    def _send_again(self, timestamp: int) -> bool:
        """Send the tensors of a request, which were in shared memory, inside the message."""
        data = self._link.encode_again(timestamp, self._parameters)
        if data is not None:
            self.send(timestamp, bytes(data))
        return data is not None

    def _close_session(self, error: StreamClientError | None) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
        assert self._listener is not None
        self._listener(Closed(error))
