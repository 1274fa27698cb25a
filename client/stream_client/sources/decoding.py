"""The thread that decodes, and the few frames between it and the thread that reads."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Generic, TypeVar

from stream_client.errors import SourceError
from stream_client.util.redact import redact

Item = TypeVar("Item")


class Decoding(Generic[Item]):
    """Takes what ``decode`` yields, in a thread of its own.

    A reader that is late gets the newest items, and the older ones are lost. With :attr:`waits` the thread waits for
    the reader instead, until it has taken all but one: fewer changes between the threads. ``abort`` makes a waiting
    ``decode`` fail, where that is possible.
    """

    BUFFERED = 2
    """Items that are kept for a reader that is late, unless :attr:`buffered` says otherwise."""
    AHEAD = 4
    """Items that a waiting thread decodes ahead of the reader."""
    CLOSE_SECONDS = 0.5
    """How long :meth:`close` waits for ``decode``, before and after ``abort``."""

    def __init__(self, name: str, decode: Callable[[], Generator[Item, None, None]], abort: Callable[[], None]) -> None:
        self.waits = False
        self.buffered = self.BUFFERED
        self.held = False
        """Whether the thread has waited for the reader since the item before."""
        self._name = name
        self._decode = decode
        self._abort = abort
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._interrupted = threading.Event()
        self._error: SourceError | None = None
        # FFmpeg cannot be woken while it waits for a silent peer. Such a thread must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"decode {name}", daemon=True)

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`interrupt` was called."""
        return self._interrupted.is_set()

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def peek(self, timeout: float | None) -> Item | None:
        """As :meth:`next`. The item stays."""
        with self._changed:
            return self._items[0] if self._wait(timeout) else None

    def next(self, timeout: float | None) -> Item | None:
        """The oldest item; ``None`` at the end or after :meth:`interrupt`.

        Raises what ``decode`` raised, and :class:`TimeoutError` when nothing comes within ``timeout`` seconds.
        """
        with self._changed:
            if not self._wait(timeout):
                return None
            item = self._items.popleft()
            if len(self._items) <= 1:
                self._changed.notify_all()
            return item

    def sleep(self, seconds: float) -> None:
        """Let ``decode`` wait, until :meth:`interrupt` at most."""
        if seconds > 0:
            self._interrupted.wait(seconds)

    def interrupt(self) -> None:
        """End every wait but that of ``decode`` itself. Called from any thread."""
        with self._changed:
            self._interrupted.set()
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread. ``decode`` closes what it has open, but where it waits for a silent peer.

        Such a thread ends later, by the timeouts of ``decode``. Until then it touches nothing else.
        """
        self.interrupt()
        if self._thread.ident is not None:
            self._thread.join(self.CLOSE_SECONDS)
            if self._thread.is_alive():
                self._abort()
                self._thread.join(self.CLOSE_SECONDS)
        with self._changed:
            # An error refers to its stack frames and so to this object: break the cycle here.
            self._error = None
            self._items.clear()

    def _wait(self, timeout: float | None) -> bool:
        if not self._changed.wait_for(lambda: self._items or self._ended or self.interrupted, timeout):
            raise TimeoutError
        if self.interrupted:
            return False
        if not self._items and self._error is not None:
            raise self._error
        return bool(self._items)

    def _run(self) -> None:
        error: SourceError | None = None
        try:
            with closing(self._decode()) as items:
                for item in items:
                    if not self._put(item):
                        break
        except SourceError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - raised by next(), in the reader's thread
            error = SourceError(redact(f"{self._name}: {type(failure).__name__}: {failure}"))
        with self._changed:
            self._error = error
            error = None  # it refers to this stack frame: the decoder would wait for the garbage collector
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        """Add an item; ``False`` after :meth:`interrupt`."""
        with self._changed:
            full = len(self._items) >= (self.AHEAD if self.waits else self.buffered)
            self.held = full and self.waits
            if self.held:
                self._changed.wait_for(lambda: len(self._items) <= 1 or self.interrupted)
            elif full:
                self._items.popleft()
            self._items.append(item)
            self._changed.notify_all()
        return not self.interrupted
