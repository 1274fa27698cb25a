"""A network as a graph's workers run it: in the thread that calls, so that none waits for threads of OpenVINO's.

A worker that hands its inference to a stream of OpenVINO's sleeps, and so does the stream when it is done: ten such
changes a frame, after each of which the system may queue two threads at one processor while another idles.
"""

import os
import threading
from collections.abc import Callable
from weakref import WeakSet

import openvino as ov

IN_CALLER = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
"""With one stream of one thread OpenVINO runs a request in the thread that calls it."""

PROCESSORS = os.cpu_count() or 1
MOST_COPIES = max(1, PROCESSORS // 2)
"""Of a network that takes no more than half of a frame's time: so many keep every processor busy, each 10 to 40 MB."""


class Copies:
    """Compiled copies of one network, each of which runs as many requests at a time as it has streams.

    There are as many as requests exist, but at most ``most``: then they share copies, and may wait for one another.
    """

    def __init__(self, compile_one: Callable[[], ov.CompiledModel], most: int) -> None:
        self._compile = compile_one
        self._most = most
        self._lock = threading.Lock()
        self._copies: list[tuple[ov.CompiledModel, WeakSet[ov.InferRequest]]] = []

    def request(self) -> ov.InferRequest:
        """A request of the copy that fewest others use; compiles one while all are in use. Raises as that does."""
        with self._lock:
            compiled, requests = min(self._copies, key=lambda copy: len(copy[1]), default=(None, WeakSet()))
            if compiled is None or (requests and len(self._copies) < self._most):
                compiled, requests = self._compile(), WeakSet()
                self._copies.append((compiled, requests))
            request = compiled.create_infer_request()
            requests.add(request)
            return request
