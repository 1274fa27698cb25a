"""Live sessions of browsers and programs: how many there may be, and which there are."""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stream_client.errors import TooManyError


@dataclass(slots=True)
class Session:
    """An open session. ``kind`` is its way in, ``peer`` the other side's address, ``since`` seconds since 1970.

    ``counts`` are the owner's: it may change them at any time.
    """

    id: str
    kind: str
    peer: str
    since: float
    counts: dict[str, int] = field(default_factory=dict)


class Sessions:
    """At most ``most`` at once. Safe from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    @contextmanager
    def open(self, kind: str, peer: str) -> Iterator[Session]:
        """A session, open as long as the block. Raises :class:`TooManyError`."""
        session = self.enter(kind, peer)
        try:
            yield session
        finally:
            self.leave(session)

    def enter(self, kind: str, peer: str) -> Session:
        """A session, open until :meth:`leave`. Raises :class:`TooManyError`."""
        with self._lock:
            if len(self._open) >= self._most:
                raise TooManyError(
                    f"{self._most} sessions are open, and no more may be: close another one, or raise max_sessions",
                    option="max_sessions",
                )
            session = Session(f"c{next(self._ids)}", kind, peer, time.time())
            self._open[session.id] = session
            return session

    def leave(self, session: Session) -> None:
        """Make room. Safe twice."""
        with self._lock:
            self._open.pop(session.id, None)

    def all(self) -> Sequence[Session]:
        """The sessions that are open, the oldest first."""
        with self._lock:
            return tuple(self._open.values())


def peer_of(scope: Mapping[str, object]) -> str:
    """The address of the other side of an ASGI connection."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if isinstance(client, tuple | list) else "unknown"
