"""Streaming sessions: ``ModelStreamInfer``, one call for many frames.

A server that does not know a region of shared memory refuses the requests that name it. Then the call is ended, and all
its answers are awaited. A second call begins with the requests that are still unanswered, now inside their messages.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import grpc

from kserve_wire.names import TIMESTAMP, method_path
from kserve_wire.tracing import PARAMETER as TRACE_PARENT
from stream_client.errors import (
    ConnectionLostError,
    MisplacedError,
    ProtocolError,
    StreamClientError,
    TransportError,
    as_error,
)
from stream_client.transport.base import Answer, Closed, Event, Failure, Listener, Request
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.codec import InferResponse, decode_stream_response
from stream_client.transport.link import ServableLink, StartStream, StreamCall
from stream_client.transport.message import Message
from stream_client.transport.options import Parameter, TransportOptions
from stream_client.transport.status import error_of_status, error_of_text, no_output
from stream_client.transport.upload import Upload
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.owned_thread import OwnedThread

logger = logging.getLogger(__name__)


class StreamingTransport:
    """A session over one bidirectional call. Implements :class:`~stream_client.transport.base.Transport`.

    ``parameters`` are sent with the first request: OVMS turns them into input side packets. ``shared_outputs``: see
    :class:`~stream_client.transport.link.ServableLink`.
    """

    QUEUE = 256
    """How many serialised requests may wait for the network. The client's window keeps the number far below."""

    LINGER = 0.5
    """Seconds to wait until a server ends a call after its last answer."""

    CLOSE = 1.0
    """Seconds to wait until a cancelled call ends. It ends at once, unless a thread that it needs has died."""

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
        self._start: StartStream | None = None
        self._call: StreamCall | None = None
        self._reader: OwnedThread | None = None
        self._requests: BoundedQueue[Message] = BoundedQueue(self.QUEUE)
        self._unanswered: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()
        self._in_order = False  # answers carry neither timestamp nor id
        self._first = True
        self._renewing = False  # the call ends, and another one will follow
        self._finished = False
        self._closed = False
        self._upload = Upload()

    @property
    def upload_rate(self) -> float | None:
        """Bytes a second, of the fastest request."""
        return self._upload.rate

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Connect and start the call."""
        self._start = self._link.open_stream(method_path("ModelStreamInfer"), within)
        self._requests = BoundedQueue(self.QUEUE)
        self._unanswered.clear()
        self._in_order = False
        self._first = True
        self._renewing = self._finished = self._closed = False
        try:
            self._call = self._start(self._upload.drain(self._requests))
        except (grpc.RpcError, OSError) as error:
            raise self._lost(error) from error
        self._reader = OwnedThread(self._run, "stream reader", (listener,))
        self._reader.start()

    def encode(self, request: Request) -> Message:
        """The request; the first of a session carries the parameters.

        A trace is named in later requests only. OVMS does not look at their parameters. Those of the first one become
        side packets, which graphs of a pool refuse.
        """
        if self._first:
            self._first = False
            return self._link.encode(request, self._parameters)
        return self._link.encode(request, {TRACE_PARENT: request.trace} if request.trace else {})

    def send(self, timestamp: int, data: Message) -> None:
        """Queue for the network."""
        with self._lock:
            self._unanswered[timestamp] = None
            # A graph may drop frames. Answers name their request, so old requests need not be remembered.
            if len(self._unanswered) > self.QUEUE and not self._in_order:
                self._unanswered.popitem(last=False)
            if self._renewing:  # the next call begins with all that is unanswered
                return
            requests = self._requests
            memory = self._link.memory
            if memory is not None and memory.is_outdated(timestamp):
                data = self._link.encode_again(timestamp, {}) or data
        requests.put(data)

    def finish(self) -> None:
        """Half-close after everything queued is sent."""
        with self._lock:
            self._finished = True
            self._requests.close()

    def interrupt(self) -> None:
        """Wait no more for a connection."""
        self._link.interrupt()

    def close(self) -> None:
        """End the call and close the connection. Open requests are given up."""
        self._requests.close()
        if self._reader is not None and not self._unanswered:
            self._reader.join(self.LINGER)  # servers count a cancelled call as failed
        with self._lock:
            self._closed = True
            call = self._call
        if call is not None:
            call.cancel()
        if self._reader is not None:
            self._reader.join(self.CLOSE)
            if self._reader.is_alive():
                logger.warning("the connection to %s does not close and is left behind", self._link.address)
        self._link.close()
        self._call = self._reader = None

    def _run(self, listener: Listener) -> None:
        """Runs in the reader's thread."""
        error = self._read(listener)
        try:
            while error is None and self._renewing and self._renew():
                error = self._read(listener)
        except (grpc.RpcError, OSError) as lost:
            self._requests.close()
            error = self._lost(lost)
        listener(Closed(error))

    def _lost(self, error: Exception) -> ConnectionLostError:
        return ConnectionLostError(f"the connection to {self._link.address} was lost: {error}")

    def _renew(self) -> bool:
        """Begin another call with the requests that are unanswered; ``False`` when the session is closed."""
        start = self._start
        assert start is not None
        with self._lock:
            if self._closed:
                return False
            self._requests = requests = BoundedQueue[Message](self.QUEUE)
            self._in_order = False
            self._first = True
            for timestamp in self._unanswered:
                data = self._link.encode_again(timestamp, self._parameters if self._first else {})
                if data is not None:
                    requests.put(data)
                    self._first = False
            self._renewing = False
            if self._finished:
                requests.close()
        call = start(self._upload.drain(requests))  # without the lock: it may wait for the network
        with self._lock:
            self._call = call
            if not self._closed:
                return True
        requests.close()
        call.cancel()
        return False

    def _region_lost(self, text: str) -> bool:
        """Whether an error is about shared memory; then this call takes no more requests."""
        if not self._link.is_region_lost(text):
            return False
        self._begin_anew("it does not know the memory that was registered there (a load balancer, or a restart)")
        return True

    def _begin_anew(self, reason: str) -> None:
        """Leave shared memory, and send what is unanswered in another call."""
        self._link.leave_memory(reason)
        with self._lock:
            self._renewing = True
            self._requests.close()

    def _read(self, listener: Listener) -> StreamClientError | None:
        """Report a call's answers to their end, and what ended them."""
        call = self._call
        assert call is not None
        try:
            for data in call:
                event = self._event(data)
                if event is not None:
                    listener(event)
        except grpc.RpcError as end:
            end.with_traceback(None)  # it is the call, and would keep this stack frame with the last answer
            details = call.details() or ""
            if not self._region_lost(details):
                return error_of_status(call.code(), details, self._link.address)
        except Exception as exception:  # noqa: BLE001 - ends the session, with its cause
            return as_error(exception, TransportError, "reading answers failed")
        finally:
            # Nothing reads the answers any more. End the call, and empty the sender's queue.
            self._requests.close()
            call.cancel()
        return None

    def _event(self, data: bytes | memoryview) -> Event | None:
        received = time.monotonic()
        memory = self._link.memory
        try:
            message = decode_stream_response(data, self._link.model_name, self._link.view)
        except MisplacedError as error:
            self._begin_anew(str(error))
            return None
        if message.foreign:
            raise ProtocolError(
                f"the server at {self._link.address} streams bare ModelInferResponse messages, without the "
                "wrapper that OVMS and Triton use (MLServer does so): make unary calls",
                option="api",
                value="unary",
            )
        if message.error or message.response is None or not message.response.outputs:
            if self._region_lost(message.error):
                return None
            failed = self._failed(message.response)
            if memory is not None and failed is not None:
                memory.failed(failed)
            return Failure(failed, error_of_text(message.error) if message.error else no_output(self._link.address))
        timestamp = self._timestamp(message.response)
        with self._lock:
            self._unanswered.pop(timestamp, None)
        if memory is not None:
            memory.answered(timestamp, message.response.outputs)
            if TIMESTAMP in message.response.parameters:  # it is a graph's
                memory.passed(timestamp, message.response.outputs)
        return Answer(
            timestamp=timestamp,
            outputs=message.response.outputs,
            received=received,
            parsed=time.monotonic(),
            complete=False,
            size=len(data),
        )

    def _failed(self, response: InferResponse | None) -> int | None:
        """The request that an error belongs to. Triton names it. A server that answers in order means the oldest; else
        it is the only one.
        """
        timestamp = None if response is None else response.timestamp
        with self._lock:
            if timestamp is None and (self._in_order or len(self._unanswered) == 1):
                timestamp = next(iter(self._unanswered), None)
            if timestamp is not None:
                self._unanswered.pop(timestamp, None)
        return timestamp

    def _timestamp(self, response: InferResponse) -> int:
        """The request that an answer belongs to. OVMS names it by a parameter, Triton by the id; others answer in
        order.
        """
        timestamp = response.timestamp
        if timestamp is not None:
            return timestamp
        with self._lock:
            self._in_order = True
            if self._unanswered:
                return next(iter(self._unanswered))
        raise ProtocolError("the server sent an answer that belongs to no request")
