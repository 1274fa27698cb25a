"""Cuts off clients that hold messages back: those that stall, and the oldest when all together hold too much."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any

import grpc

from graph_server.service.connections import OPEN_FILES, Endpoint, client_end, cut_off, received_bytes
from graph_server.service.held_messages import HeldMessages
from kserve_wire.malloc import return_free_memory

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""Seconds between two looks at all connections. Meanwhile a client on this machine sends up to 400 MB."""


class Reception(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Sees every message that arrives, and looks at the connections of ``port`` in a thread of its own.

    ``connected`` is called with the open connections at every look. Only Linux shows them; elsewhere nobody looks.
    """

    def __init__(self, memory_bytes: int, connected: Callable[[Collection[Endpoint]], None]) -> None:
        self._messages = HeldMessages(memory_bytes)
        self._memory_bytes = memory_bytes
        self._connected = connected
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> None:
        """Begin to look."""
        if OPEN_FILES.is_dir():
            self._thread = threading.Thread(target=self._run, args=(port,), name="reception", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """The service's handler, with its messages counted."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: handler.stream_stream(_Requests(requests, context, self._messages), context)
            )

        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._messages.finish(client_end(context.peer()), len(request) + _metadata_bytes(context))
            answer: bytes = handler.unary_unary(request, context)
            return answer

        return grpc.unary_unary_rpc_method_handler(call)

    def _run(self, port: int) -> None:
        cut = False
        while not self._ended.wait(LOOK_SECONDS):
            if cut:
                return_free_memory()
            try:
                received = received_bytes(port)
            except OSError:  # no descriptor is left for looking
                continue
            self._connected(received.keys())
            held = self._messages.overdue(time.monotonic(), received)
            for client, size in held.items():
                logger.warning(
                    "gRPC: the client at %s:%d is cut off: it holds back a message, %d bytes of which are here "
                    "(the limit for all clients is %d, --grpc_memory_quota)",
                    *client,
                    size,
                    self._memory_bytes,
                )
            cut = bool(held)
            if cut:
                with suppress(OSError):
                    cut_off(port, held)


class _Requests:
    """The messages of a stream. It is busy from each of them until the next is asked for."""

    def __init__(self, requests: Iterator[bytes], context: grpc.ServicerContext, messages: HeldMessages) -> None:
        self._requests = requests
        self._messages = messages
        self._client = client_end(context.peer())
        messages.finish(self._client, _metadata_bytes(context))
        context.add_callback(self._resume)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._resume()
        data = next(self._requests)
        self._messages.finish(self._client, len(data))
        self._messages.pause(self._client, self)
        return data

    def _resume(self) -> None:
        self._messages.resume(self._client, self)


def _metadata_bytes(context: grpc.ServicerContext) -> int:
    return sum(len(key) + len(value) for key, value in context.invocation_metadata())
