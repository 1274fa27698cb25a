"""A live source that reconnects."""

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from stream_client.errors import (
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceOverError,
    SourceTlsError,
)
from stream_client.frames import Frame, PlaneFormat, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.sources.base import GivesPlanes, Holdable, Passable, Source
from stream_client.util.backoff import Backoff
from stream_client.util.reconnector import Reconnector
from stream_client.util.retry_plan import RetryPlan


class Connection(Source, Protocol):
    """A source that is used once. Without ``finite`` its end is a loss."""

    def open(self, within: float = math.inf) -> StreamInfo:
        """Connect; ``within``, in seconds, limits the connection's own timeouts."""

    @property
    def finite(self) -> bool:
        """Whether the stream declares a length."""

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted."""


class ReconnectingSource:
    """Reads connections that ``connect`` makes, one after another, as one stream.

    Indices and timestamps keep increasing across connections. A stream with a length is read from its start again, and
    the frames that were read before are left out. After ``reconnect_timeout`` seconds without success
    (``None``: never; 0: at once) the error of the last attempt is raised. Each attempt is limited to the time that is
    left. Only the very first attempt has the connection's own timeouts.

    A retry does not cure every error. Errors of the types in ``hopeless`` end the first :meth:`open` at once. Once the
    source has been live, refused credentials, missing video and failed TLS end it after :attr:`HOPELESS_ATTEMPTS`
    attempts in a row, since a server that is just starting may give such an answer.
    """

    HOPELESS: tuple[type[SourceError], ...] = (SourceAuthenticationError, SourceCodecError, SourceTlsError)
    HOPELESS_ATTEMPTS = 3

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        *,
        reconnect_timeout: float | None = None,
        hopeless: tuple[type[SourceError], ...] = HOPELESS,
        backoff: Backoff | None = None,
        passes: bool = False,
    ) -> None:
        self.passes = passes
        """Whether ``connect`` makes connections that may pass H.264 on."""
        self._connect = connect
        self._name = name
        self._hopeless = hopeless
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._connection: Connection | None = None
        self._info: StreamInfo | None = None
        self._on_state: Callable[[ConnectionState], None] = lambda state: None
        self._keep_all = self._passing = False
        self._planes: PlaneFormat | None = None
        self._finite = False
        self._over = False
        self._next_index = 0
        self._index_offset = 0
        self._unreadable = 0
        self._last_timestamp = -1
        self._reconnector = Reconnector(
            "source",
            self._attempt,
            RetryPlan(
                timeout=reconnect_timeout,
                backoff=backoff or Backoff(first=0.2, longest=1.0),
                refusals=self.HOPELESS_ATTEMPTS,
            ),
            self._interrupted,
            self._report,
            errors=(SourceError,),
            refuses=self._refuses,
        )
        self.reconnections = 0
        """How often the source was lost and came back."""

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted, of all connections."""
        connection = self._connection
        return self._unreadable + (0 if connection is None else connection.unreadable)

    def watch(self, on_state: Callable[[ConnectionState], None]) -> None:
        """Call ``on_state`` at each change of state, in the reader's thread. Call this before :meth:`open`."""
        self._on_state = on_state

    def keep_all(self) -> None:
        """Let the source wait for its reader, and drop nothing. Call this before :meth:`open`."""
        self._keep_all = True

    def pass_on(self) -> None:
        """Pass H.264 on without decoding it, where that can be. Call this before :meth:`open`."""
        self._passing = True

    def give_planes(self, wanted: PlaneFormat) -> None:
        """Give planes as they were decoded, where that can be. Call this before :meth:`open`."""
        self._planes = wanted

    def open(self) -> StreamInfo:
        """Connect, and wait for the source as long as it takes."""
        if not self._connected() or self._info is None:
            raise SourceError(f"{self._name}: stopped before it was found")
        return self._info

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
                if self._finite and frame.index < self._next_index:
                    continue  # it was read before the loss
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
        """Reconnect. ``False`` at a stop. Raises when the source is given up."""
        self._drop_connection()
        if not self._reconnector.lost(loss):
            self._on_state("ended")
            raise loss
        if not self._connected():
            return False
        if self._over:
            self._on_state("ended")
            return False
        self.reconnections += 1
        if not self._finite:
            self._index_offset = self._next_index
        return True

    def _connected(self) -> bool:
        """Connect; ``False`` at a stop."""
        try:
            return self._reconnector.connect()
        except SourceError:
            self._on_state("ended")
            raise

    def _attempt(self, within: float) -> None:
        connection = self._connect()
        if self._keep_all and isinstance(connection, Holdable):
            connection.keep_all()
        if self._passing and isinstance(connection, Passable):
            connection.pass_on()
        if self._planes is not None and isinstance(connection, GivesPlanes):
            connection.give_planes(self._planes)
        with self._lock:
            self._connection = connection
            if self._interrupted.is_set():
                connection.interrupt()
        try:
            info = connection.open(within)
        except SourceOverError:
            self._drop_connection()
            if self._info is None:
                raise
            self._over = True
            return
        except SourceError:
            self._drop_connection()
            raise
        if self._info is None:
            self._finite = connection.finite
            self._info = info
        elif info.sound is not None and self._info.sound is not None:
            info.sound.succeed(self._info.sound, (info.start - self._info.start) / 1_000_000)

    def _report(self, state: ConnectionState) -> None:
        self._on_state(state)

    def _refuses(self, error: Exception) -> bool:
        return isinstance(error, self._hopeless if self._info is None else self.HOPELESS)

    def _drop_connection(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._unreadable += connection.unreadable

    def _numbered(self, frame: Frame) -> Frame:
        index = self._index_offset + frame.index
        timestamp = max(frame.timestamp, self._last_timestamp + 1)
        self._next_index = index + 1
        self._last_timestamp = timestamp
        if (index, timestamp) == (frame.index, frame.timestamp):
            return frame
        return replace(frame, index=index, timestamp=timestamp)
