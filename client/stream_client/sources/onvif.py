"""``onvif://``: a camera's stream by the camera's own address for it."""

import asyncio
import math
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from stream_client.cameras.onvif import chosen, profiles
from stream_client.errors import SourceError
from stream_client.frames import Frame, StreamInfo
from stream_client.sources.base import Holdable
from stream_client.sources.reconnecting import Connection
from stream_client.util.redact import redact
from stream_client.util.urls import credentials_for, split_credentials, with_user


class OnvifConnection:
    """Asks the camera where its stream is, then is a connection to it, which ``connect`` makes.

    The stream gets the camera's credentials where it is on the camera's host, and nowhere else.
    """

    def __init__(self, url: str, connect: Callable[[str], Connection], *, timeout: float) -> None:
        self._url = url
        self._connect = connect
        self._timeout = timeout
        self._lock = threading.Lock()
        self._asking: tuple[asyncio.AbstractEventLoop, asyncio.Task[str]] | None = None
        self._connection: Connection | None = None
        self._interrupted = False
        self._keep_all = False

    def keep_all(self) -> None:
        """Drop no frame, but wait; called before :meth:`open`."""
        self._keep_all = True

    @property
    def finite(self) -> bool:
        """A camera's stream has no end."""
        return False

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted."""
        return 0 if self._connection is None else self._connection.unreadable

    def open(self, within: float = math.inf) -> StreamInfo:
        """Ask and connect; raises :class:`.SourceError`."""
        try:
            address = asyncio.run(self._ask(min(self._timeout, within)))
        except asyncio.CancelledError:
            raise SourceError(f"{redact(self._url)}: stopped") from None
        connection = self._connect(address)
        if self._keep_all and isinstance(connection, Holdable):
            connection.keep_all()
        with self._lock:
            self._connection = connection
            if self._interrupted:
                connection.interrupt()
        return connection.open(within)

    def read(self) -> Frame | None:
        """The next frame."""
        assert self._connection is not None
        return self._connection.read()

    def interrupt(self) -> None:
        """End asking, opening and reading."""
        with self._lock:
            self._interrupted = True
            if self._asking is not None:
                loop, task = self._asking
                loop.call_soon_threadsafe(task.cancel)
            if self._connection is not None:
                self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    async def _ask(self, timeout: float) -> str:
        task = asyncio.ensure_future(self._address(timeout))
        with self._lock:
            if self._interrupted:
                task.cancel()
            self._asking = (asyncio.get_running_loop(), task)
        try:
            return await task
        finally:
            with self._lock:
                self._asking = None

    async def _address(self, timeout: float) -> str:
        stream = chosen(self._url, await profiles(self._url, timeout=timeout)).url
        credentials = credentials_for(self._url)
        camera, host = (_host(url) for url in (self._url, stream))
        return with_user(stream, credentials) if credentials is not None and camera == host else stream


def _host(url: str) -> str:
    return urlsplit(split_credentials(url)[0]).hostname or ""
