"""Compiled copies of a network that run in the calling thread, so that workers never wait for OpenVINO's threads.

A worker sleeps while a stream of OpenVINO's infers, and the stream sleeps afterwards. That is ten changes a frame.
After each the system may queue two threads on one processor while another is idle.
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
"""Copies of a network that takes at most half of a frame's time. This number keeps every processor busy. A copy takes
10 to 40 MB.
"""


class Copies:
    """Compiled copies of one network, each for as many requests at a time as it has streams.

    There is one copy for each request, but at most ``most``. Beyond that, requests share copies and may wait.
    """

    def __init__(self, compile_one: Callable[[], ov.CompiledModel], most: int) -> None:
        self._compile = compile_one
        self._most = most
        self._lock = threading.Lock()
        self._copies: list[tuple[ov.CompiledModel, WeakSet[ov.InferRequest]]] = []

    def request(self) -> ov.InferRequest:
        """A request of the least used copy. Compiles a new copy while all are in use. Raises what the compilation
        raises.
        """
        with self._lock:
            compiled, requests = min(self._copies, key=lambda copy: len(copy[1]), default=(None, WeakSet()))
            if compiled is None or (requests and len(self._copies) < self._most):
                compiled, requests = self._compile(), WeakSet()
                self._copies.append((compiled, requests))
            request = compiled.create_infer_request()
            requests.add(request)
            return request
