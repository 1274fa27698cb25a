"""Callbacks that can be taken back."""

import threading
from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")
Unsubscribe = Callable[[], None]


class Event(Generic[P]):
    """A list of callbacks; subscribing returns the function that unsubscribes. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[P, object]] = {}

    def subscribe(self, callback: Callable[P, object]) -> Unsubscribe:
        """Call ``callback`` from now on; the returned function ends that, once or more often."""
        key = object()
        with self._lock:
            self._callbacks[key] = callback

        def unsubscribe() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return unsubscribe

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call every callback, in the order of subscription, in the calling thread."""
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback(*args, **kwargs)
