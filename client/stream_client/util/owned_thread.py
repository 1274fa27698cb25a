"""A thread with an owner that joins it, and that cannot hold up the end of the process."""

import threading
import time
from collections.abc import Callable
from typing import Any


class OwnedThread(threading.Thread):
    """Runs ``target``. Its owner joins it: for as long as it works, and for a limited time once it shall end.

    A call in C, such as one that waits for a pipe's reader, cannot be interrupted. A thread in such a call is left
    behind after ``limit`` seconds. It is a daemon thread, so the process can end.
    """

    LIMIT = 1.4
    """Seconds. Ctrl-C ends a run within two."""

    def __init__(
        self, target: Callable[..., object], name: str, args: tuple[Any, ...] = (), *, limit: float = LIMIT
    ) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)
        self._limit = limit
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._has_ended = False

    def run(self) -> None:
        """Call the target."""
        try:
            super().run()
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def expect_end(self) -> None:
        """From now on :meth:`join` waits for ``limit`` seconds at most. Only the first call counts."""
        with self._changed:
            if self._deadline is None:
                self._deadline = time.monotonic() + self._limit
                self._changed.notify_all()

    @property
    def overdue(self) -> bool:
        """Whether it was expected to end, did not, and is left behind."""
        with self._changed:
            return not self._has_ended and self._deadline is not None and time.monotonic() >= self._deadline

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, for ``timeout`` seconds at most, or until it is overdue."""
        if self.ident is None:
            return
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._has_ended:
                limits = [limit for limit in (until, self._deadline) if limit is not None]
                left = min(limits) - time.monotonic() if limits else None
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)
        super().join()


def left_behind() -> list[str]:
    """The names of owned threads that still run."""
    return [thread.name for thread in threading.enumerate() if isinstance(thread, OwnedThread)]
