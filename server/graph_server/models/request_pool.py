"""Infer requests of a model that is served by itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import openvino as ov


class RequestPool:
    """At most ``size`` infer requests, made when needed. A caller waits for a free one."""

    def __init__(self, compiled: ov.CompiledModel, size: int) -> None:
        self._compiled = compiled
        self._left = size
        self._idle: list[ov.InferRequest] = []
        self._changed = threading.Condition()

    @contextmanager
    def take(self) -> Iterator[ov.InferRequest]:
        """An infer request for the caller alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._left)
            if self._idle:
                request = self._idle.pop()
            else:
                self._left -= 1
                request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            with self._changed:
                self._idle.append(request)
                self._changed.notify()
