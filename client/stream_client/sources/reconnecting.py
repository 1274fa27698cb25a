"""A live source that comes back: reconnects with exponential back-off when its connection is lost."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from stream_client.errors import SourceAuthenticationError, SourceCodecError, SourceError, SourceTlsError
from stream_client.frames import Frame, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.sources.base import Source
from stream_client.util.backoff import Backoff, TimeLimit

logger = logging.getLogger(__name__)


class Connection(Source, Protocol):
    """A source that is used once. ``finite``: its end is an end; otherwise its end is a loss."""

    def open(self, within: float = math.inf) -> StreamInfo:
        """Connect; ``within`` bounds, in seconds, the connection's own time-outs."""

    @property
    def finite(self) -> bool:
        """Whether the stream has declared a length."""


class ReconnectingSource:
    """Reads connections that ``connect`` makes, one after another, as one stream.

    Frames keep counting and their timestamps keep rising across connections. After ``reconnect_timeout``
    seconds without success (``None``: never; 0: at once) the error of the last attempt is raised, and no attempt
    lasts longer but the very first, which has the connection's own time-outs.

    Some errors do not mend themselves. ``hopeless`` ones end the first :meth:`open` at once; once the source
    has been live, refused credentials, missing video and failed TLS are believed after
    :attr:`HOPELESS_ATTEMPTS` attempts in a row, since a server that is starting may answer so.
    """

    HOPELESS: tuple[type[SourceError], ...] = (SourceAuthenticationError, SourceCodecError, SourceTlsError)
    HOPELESS_ATTEMPTS = 3
    STABLE_SECONDS = 5.0
    """A connection that held so long makes the back-off begin anew."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        *,
        reconnect_timeout: float | None = None,
        hopeless: tuple[type[SourceError], ...] = HOPELESS,
        backoff: Backoff | None = None,
    ) -> None:
        self._connect = connect
        self._name = name
        self._reconnect_timeout = reconnect_timeout
        self._hopeless = hopeless
        self._backoff = backoff or Backoff(first=0.2, longest=1.0)
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._connection: Connection | None = None
        self._on_state: Callable[[ConnectionState], None] = lambda state: None
        self._live_since = 0.0
        self._next_index = 0
        self._index_offset = 0
        self._last_timestamp = -1
        self.reconnections = 0
        """How often the source was lost and found again."""

    def watch(self, on_state: Callable[[ConnectionState], None]) -> None:
        """Tell ``on_state`` of every change of state, from the reader's thread; call before :meth:`open`."""
        self._on_state = on_state

    def open(self) -> StreamInfo:
        """Connect, and wait for the source as long as it takes."""
        limit = TimeLimit(self._reconnect_timeout)
        return self._reconnect(limit, self._hopeless, hopeless_attempts=1, within=math.inf)

    def read(self) -> Frame | None:
        """The next frame, of this connection or of a later one; ``None`` at a finite stream's end or a stop."""
        while True:
            assert self._connection is not None
            try:
                frame = self._connection.read()
            except SourceError as error:
                if self._interrupted.is_set() or not self._recover(error):
                    return None
                continue
            if frame is not None:
                return self._numbered(frame)
            if self._interrupted.is_set() or self._connection.finite:
                self._on_state("ended")
                return None
            if not self._recover(SourceError(f"{self._name} ended")):
                return None

    def interrupt(self) -> None:
        """End waiting in any state: connecting, live or lost."""
        self._interrupted.set()
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self.interrupt()
        self._drop_connection()

    def _recover(self, loss: SourceError) -> bool:
        """Find the source again; ``False`` at a stop. Raises when it is given up."""
        lost_at = time.monotonic()
        limit = TimeLimit(self._reconnect_timeout)
        if lost_at - self._live_since > self.STABLE_SECONDS:
            self._backoff.reset()
        self._on_state("lost")
        logger.warning("source lost: %s; reconnecting", loss)
        self._drop_connection()
        if self._reconnect_timeout == 0 or self._interrupted.wait(min(self._backoff.next(), limit.left)):
            if self._interrupted.is_set():
                return False
            self._on_state("ended")
            raise loss
        try:
            self._reconnect(limit, self.HOPELESS, hopeless_attempts=self.HOPELESS_ATTEMPTS, within=limit.for_attempt)
        except SourceError:
            if self._interrupted.is_set():
                return False
            raise
        self.reconnections += 1
        self._index_offset = self._next_index
        logger.warning("source live again after %.1f s", time.monotonic() - lost_at)
        return True

    def _reconnect(
        self, limit: TimeLimit, hopeless: tuple[type[SourceError], ...], *, hopeless_attempts: int, within: float
    ) -> StreamInfo:
        refusals = 0
        said = ""
        while True:
            self._on_state("connecting")
            try:
                info = self._attempt(within)
            except SourceError as error:
                self._drop_connection()
                if self._interrupted.is_set():
                    raise
                refusals = refusals + 1 if isinstance(error, hopeless) else 0
                if refusals >= hopeless_attempts or limit.passed:
                    self._on_state("ended")
                    raise
                if str(error) != said:  # once, not at every attempt
                    said = str(error)
                    logger.warning("source: %s; trying again", said)
            else:
                self._live_since = time.monotonic()
                self._on_state("live")
                return info
            if self._interrupted.wait(min(self._backoff.next(), limit.left)):
                raise SourceError(f"{self._name}: stopped before it was found")
            within = limit.for_attempt

    def _attempt(self, within: float) -> StreamInfo:
        connection = self._connect()
        with self._lock:
            self._connection = connection
            if self._interrupted.is_set():
                connection.interrupt()
        return connection.open(within)

    def _drop_connection(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _numbered(self, frame: Frame) -> Frame:
        index = self._index_offset + frame.index
        timestamp = max(frame.timestamp, self._last_timestamp + 1)
        self._next_index = index + 1
        self._last_timestamp = timestamp
        if (index, timestamp) == (frame.index, frame.timestamp):
            return frame
        return replace(frame, index=index, timestamp=timestamp)
