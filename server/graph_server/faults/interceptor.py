"""Injects faults between the service and gRPC. The service does not know about them."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from graph_server.faults.options import FaultOptions
from graph_server.faults.queue import FaultQueue
from graph_server.service.messages import encode_stream_error

_TEXT = "Injected fault"
_MAX_BYTES = 128 << 20  # of delayed responses; when it is full, the session waits as for a slow client

Unary = Callable[[bytes, grpc.ServicerContext], bytes]
Stream = Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]


class FaultInterceptor(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Wraps ``ModelInfer`` and ``ModelStreamInfer``. Owns one thread for each session. :meth:`join` waits for them."""

    def __init__(self, options: FaultOptions) -> None:
        self._options = options
        self._rate = _Rate(options.rate)
        self._lock = threading.Lock()
        self._sessions = 0
        self._answered = 0
        self._chance = random.Random(f"unary {options.seed}")
        self._threads: set[threading.Thread] = set()

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """The service's handler, with faults for inference calls."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        match handler_call_details.method.rpartition("/")[2]:
            case "ModelInfer":
                return grpc.unary_unary_rpc_method_handler(
                    lambda request, context: self._infer(handler.unary_unary, request, context)
                )
            case "ModelStreamInfer":
                return grpc.stream_stream_rpc_method_handler(
                    lambda requests, context: self._stream(handler.stream_stream, requests, context)
                )
        return handler

    def join(self) -> None:
        """Wait for the threads of the sessions. Their calls must have ended."""
        while True:
            with self._lock:
                threads = list(self._threads)
            if not threads:
                return
            for thread in threads:
                thread.join()

    def _infer(self, infer: Unary, request: bytes, context: grpc.ServicerContext) -> bytes:
        options = self._options
        gone = _ended(context)
        self._rate.wait(gone)
        response = infer(request, context)
        with self._lock:
            dropped = self._chance.random() < options.drop
            failed = self._chance.random() < options.error
            closed = bool(options.close_after) and self._answered == options.close_after
            self._answered = 0 if closed else self._answered + 1
        # A dropped answer never comes: wait until the client's deadline, or until the client is gone.
        gone.wait(None if dropped and not closed else options.delay)
        if closed:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"{_TEXT} - close_after={options.close_after}")
        if failed:
            context.abort(grpc.StatusCode.INTERNAL, f"{_TEXT} - error={options.error:g}")
        return response

    def _stream(self, infer: Stream, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        with self._lock:
            chance = random.Random(f"stream {self._options.seed} {self._sessions}")
            self._sessions += 1
        gone = _ended(context)
        error = encode_stream_error(f"{_TEXT} - error={self._options.error:g}")
        session = _Session(FaultQueue(self._options, chance, error))
        context.add_callback(session.abandon)

        def pump() -> None:
            try:
                session.fill(infer(self._paced(requests, gone), context))
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=pump, name="faults")
        with self._lock:
            self._threads.add(thread)
        thread.start()
        # No join before the abort: after close_after the inner session ends only when its call has ended.
        yield from session.responses()
        if session.closed:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"{_TEXT} - close_after={self._options.close_after}")
        thread.join()

    def _paced(self, requests: Iterator[bytes], gone: threading.Event) -> Iterator[bytes]:
        for request in requests:
            self._rate.wait(gone)
            yield request


class _Session:
    """A :class:`FaultQueue` between the thread that fills it and the call that empties it."""

    def __init__(self, queue: FaultQueue) -> None:
        self._queue = queue
        self._changed = threading.Condition()
        self._ended = False
        self._gone = False
        self._failure: Exception | None = None

    @property
    def closed(self) -> bool:
        """Whether ``close_after`` ended the session."""
        with self._changed:
            return self._queue.closed

    def fill(self, responses: Iterator[bytes]) -> None:
        """Put all responses of the session into the queue."""
        failure: Exception | None = None
        try:
            for response in responses:
                with self._changed:
                    self._changed.wait_for(lambda: self._queue.bytes < _MAX_BYTES or self._gone)
                    if not self._gone:
                        self._queue.add(response, time.monotonic())
                        self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - responses() raises it again; context.abort() also arrives here
            failure = error
        with self._changed:
            self._failure = failure
            self._ended = True
            self._queue.end(time.monotonic())
            self._changed.notify_all()

    def responses(self) -> Iterator[bytes]:
        """Give each response when it is due. Raises the exception of the session."""
        while True:
            with self._changed:
                response = self._queue.pop(time.monotonic())
                while response is None:
                    due = self._queue.next_due()
                    if self._gone or self._queue.closed or (self._ended and due is None):
                        self._gone = True
                        self._changed.notify_all()
                        if self._failure is not None and not self._queue.closed:
                            raise self._failure
                        return
                    self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
                    response = self._queue.pop(time.monotonic())
                self._changed.notify_all()
            yield response

    def abandon(self) -> None:
        """The call has ended."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()


class _Rate:
    """Lets ``rate`` requests a second pass, in the order of arrival. 0 lets all pass at once."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, gone: threading.Event) -> None:
        """Wait for a turn, or until ``gone``."""
        if not self._interval:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        gone.wait(turn - now)


def _ended(context: grpc.ServicerContext) -> threading.Event:
    """An event that is set when the call has ended."""
    gone = threading.Event()
    if not context.add_callback(gone.set):
        gone.set()
    return gone
