"""aiortc needs an asyncio loop: a thread with one, for whom uses threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from stream_client.errors import ConfigurationError
from stream_client.util.extras import install_command

Answer = TypeVar("Answer")


def check_aiortc(scheme: str, option: str) -> None:
    """Raise :class:`.ConfigurationError`, with that ``option``, where aiortc is missing."""
    try:
        import aiortc  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{scheme}:// needs aiortc: {install_command('webrtc')}", option=option) from error


class LoopThread:
    """Owned by one thread, which starts and closes it. :meth:`abort` is for every thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
        self._thread.start()

    def run(self, steps: Coroutine[Any, Any, Answer], within: float) -> Answer:
        """What ``steps`` return. Raises :class:`TimeoutError`, and :class:`ConnectionAbortedError` after a stop."""
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(steps, within), self._running())
        try:
            return future.result()
        except (asyncio.CancelledError, CancelledError) as error:
            raise ConnectionAbortedError("stopped") from error
        except asyncio.TimeoutError as error:
            raise TimeoutError from error

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the loop, and do not wait for it."""
        self._running().call_soon_threadsafe(function, *arguments)

    def abort(self) -> None:
        """Cancel everything that runs in the loop."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # closed already
                loop.call_soon_threadsafe(_cancel, loop)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]], within: float) -> None:
        """Run ``last``, for ``within`` seconds at most, and end the thread, if it was started."""
        if self._loop is None:
            return
        if self._thread.is_alive():
            with suppress(Exception):  # nothing can be done about a good-bye that fails
                self.run(last(), within)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "not started"
        return self._loop


def _cancel(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
