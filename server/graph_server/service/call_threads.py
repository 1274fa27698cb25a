"""The threads of gRPC's calls. One at a time hands a large answer over."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

_Result = TypeVar("_Result")

LARGE_BYTES = 8 << 20
"""A 4K frame has 25 MB."""


class CallThreads(ThreadPoolExecutor):
    """A thread for each call, so that no call waits for another one.

    gRPC copies an answer with the interpreter's lock held: 0.3 s for 240 MB. A call for health needs that lock several
    times, and would wait for every large answer each time.
    """

    def __init__(self, calls: int) -> None:
        super().__init__(calls, thread_name_prefix="call")
        self._turn = threading.Lock()
        self._this_thread = threading.local()

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> "Future[_Result]":
        """Run a call: its handler, and what gRPC does with the answer."""
        return super().submit(self._run, fn, *args, **kwargs)

    def take_turn(self, answer: bytes) -> None:
        """Wait until no other thread hands a large answer over. The turn ends when gRPC has taken this one."""
        if len(answer) >= LARGE_BYTES:
            self._turn.acquire()
            self._this_thread.has_turn = True

    def _run(self, call: Callable[..., _Result], *args: Any, **kwargs: Any) -> _Result:
        self._this_thread.has_turn = False
        try:
            return call(*args, **kwargs)
        finally:
            if self._this_thread.has_turn:
                self._turn.release()


class TurnTaker(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Makes unary calls take turns with their answers."""

    def __init__(self, threads: CallThreads) -> None:
        self._threads = threads

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """The service's handler, with its answers in turn."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler

        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            answer: bytes = handler.unary_unary(request, context)
            self._threads.take_turn(answer)
            return answer

        return grpc.unary_unary_rpc_method_handler(call)
