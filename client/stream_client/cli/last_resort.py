"""Ends the process when a signal to stop did not: Ctrl-C is obeyed within two seconds, whatever is stuck."""

import os
import select
import signal
import threading
from typing import NoReturn

SECONDS = 1.8
_STOPPING = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


class LastResort:
    """A context: from the first signal to stop on, it has :data:`SECONDS` to end.

    Python handles a signal in the main thread, once that comes around. Its number is written to a pipe at once, where
    a thread waits for it.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="last resort", daemon=True)

    def __enter__(self) -> "LastResort":
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._previous = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._previous)
        self._over.set()
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def _watch(self) -> None:
        while number := os.read(self._read, 1):
            if number[0] in _STOPPING:
                if not self._over.wait(SECONDS):
                    end_now(128 + number[0], "something did not end after the signal and was left behind")
                return


def end_now(status: int, text: str = "") -> NoReturn:
    """End the process without waiting for anything. ``text`` goes to standard error if that takes it."""
    if text and select.select([], [2], [], 0)[1]:
        os.write(2, f"error: {text}\n".encode())
    os._exit(status)
