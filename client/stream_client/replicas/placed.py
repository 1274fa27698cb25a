"""A streaming session over replicas: it lives on one of them, and moves to another.

It leaves before that replica is gone where it can: when the replica says that it is not ready, is no longer in the
list, or has become slow, or has two sessions more than another one. Then the session there is half-closed, its open
answers are awaited, and the next request begins a session elsewhere: nothing is lost, unless they take longer than
:data:`PlacedSession.MOVE_TIMEOUT`. Then, and when a replica breaks, the session is lost as with a single server, and
the next one begins elsewhere.
"""

import math
import random
import threading
import time
from collections.abc import Sized
from typing import Any

from stream_client.errors import ConnectError, ConnectionLostError, TransportError
from stream_client.replicas.admission import Admission
from stream_client.replicas.replica import Replica
from stream_client.replicas.residence import Residence
from stream_client.transport.base import Answer, Closed, Event, Failure, Listener, Placed, Request, Transport
from stream_client.util.events import Unsubscribe


class _Stay:
    """A session on one replica. ``sent``: when each request without an answer was sent."""

    def __init__(self, replica: Replica, transport: Transport) -> None:
        self.replica = replica
        self.transport = transport
        self.sent: dict[int, float] = {}
        self.leaving = False
        self.ended: Closed | None = None

    def waiting(self, now: float) -> float:
        """Seconds for which the oldest request has had no answer; 0 where each has."""
        return now - next(iter(self.sent.values()), now)


class PlacedSession:
    """Implements :class:`~stream_client.transport.base.Transport`."""

    MOVE_TIMEOUT = 5.0
    """Seconds that a replica which is left may take for the open answers."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._replicas = admission.replicas
        self._residence = Residence(admission.replicas, admission.ready, random.Random())
        self._changed = threading.Condition()
        self._telling = threading.Lock()  # one event at a time
        self._stay: _Stay | None = None
        self._interrupted = False
        self._listener: Listener | None = None
        self._request_timeout: float | None = None
        self._unsubscribe: Unsubscribe | None = None
        self._rate: float | None = None

    @property
    def upload_rate(self) -> float | None:
        """Bytes a second, of the fastest request."""
        stay = self._stay
        return self._rate if stay is None else stay.transport.upload_rate

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Begin on the replica with the fewest sessions; raises :class:`.ConnectError` where none can be used."""
        self._listener, self._request_timeout = listener, request_timeout
        self._unsubscribe = self._replicas.changed.subscribe(self._look)
        self._begin(min(within, self._admission.connect_timeout))

    def encode(self, request: Request) -> Sized:
        """The request's bytes, for the replica where the session lives from now on."""
        stay = self._stay
        assert stay is not None
        with self._changed:
            leaves = stay.ended is None and self._residence.shall_leave(stay.replica, stay.waiting(time.monotonic()))
        if leaves:
            stay = self._move(stay)
        return stay.transport.encode(request)

    def send(self, timestamp: int, data: Any) -> None:
        """Queue for the network."""
        stay = self._stay
        assert stay is not None
        with self._changed:
            if stay.ended is None:
                stay.sent[timestamp] = time.monotonic()
                self._replicas.sent(stay.replica)
        stay.transport.send(timestamp, data)

    def finish(self) -> None:
        """Half-close."""
        assert self._stay is not None
        self._stay.transport.finish()

    def interrupt(self) -> None:
        """Wait no more, for a connection or for a replica that is left."""
        self._interrupted = True
        with self._changed:
            self._changed.notify_all()
        self._replicas.wake()
        if self._stay is not None:
            self._stay.transport.interrupt()

    def close(self) -> None:
        """End the session."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        stay, self._stay = self._stay, None
        if stay is not None:
            self._end(stay, moved=stay.ended is not None and stay.ended.error is not None)

    # --- where it lives

    def _begin(self, within: float) -> None:
        deadline = time.monotonic() + within
        while not self._interrupted:
            left = deadline - time.monotonic()
            ready = self._admission.ready()
            if ready and self._settle(self._replicas.place(ready), max(left, 0.1)):
                return
            if left <= 0:
                raise self._admission.nobody()
            if not ready:
                self._admission.wait(lambda: self._interrupted, left)
        raise ConnectError("the session was ended before a replica answered")

    def _settle(self, replica: Replica, within: float) -> bool:
        """Begin on this replica; ``False`` if that cannot be."""
        transport = self._admission.transport(replica)
        if transport is None:
            self._replicas.left(replica)
            return False
        stay = _Stay(replica, transport)
        bound = min(within, self._admission.CONNECT_SECONDS)
        try:
            transport.open(lambda event: self._heard(stay, event), within=bound, request_timeout=self._request_timeout)
        except TransportError:
            transport.close()
            self._replicas.left(replica)
            self._replicas.lost(replica)
            return False
        with self._changed:
            self._residence.settle()
        self._stay = stay
        self._tell(Placed(replica.address))
        return True

    def _move(self, stay: _Stay) -> _Stay:
        """Leave, and return where the session lives then. The sender, whose thread this is, has nothing else to do."""
        stay.leaving = True
        stay.transport.finish()
        with self._changed:
            self._changed.wait_for(lambda: stay.ended is not None or self._interrupted, self.MOVE_TIMEOUT)
        if stay.ended is None:
            if not self._interrupted:
                self._lose(stay, f"replica {stay.replica.address} is left, and owes answers")
            return stay
        if stay.ended.error is not None:  # it broke meanwhile, which the listener knows
            return stay
        self._stay = None
        self._end(stay, moved=True)
        try:
            self._begin(self._admission.connect_timeout)
        except ConnectError as error:
            self._tell(Closed(error))
        return self._stay or stay

    def _end(self, stay: _Stay, *, moved: bool) -> None:
        self._rate = stay.transport.upload_rate
        stay.transport.close()
        self._forget(stay)
        self._replicas.left(stay.replica, moved=moved)

    # --- what is heard

    def _look(self) -> None:
        """A replica has changed. One that has fallen silent would keep its session for ever."""
        stay = self._stay
        if stay is not None and stay.replica.state == "away":
            self._lose(stay, f"replica {stay.replica.address} does not answer")

    def _lose(self, stay: _Stay, text: str) -> None:
        self._heard(stay, Closed(ConnectionLostError(text)))

    def _heard(self, stay: _Stay, event: Event) -> None:
        match event:
            case Answer():
                self._answered(stay, event)
            case Failure(timestamp=int() as timestamp):
                with self._changed:
                    if stay.sent.pop(timestamp, None) is not None:
                        self._replicas.failed(stay.replica)
            case Closed():
                with self._changed:
                    if stay.ended is not None:
                        return
                    stay.ended = event
                    self._changed.notify_all()
                if stay.leaving and event.error is None:
                    return
                # One that is left may only be slow: the checks tell whether it is there, and others live on it.
                if isinstance(event.error, TransportError) and not stay.leaving:
                    self._replicas.lost(stay.replica)
        self._tell(event)

    def _answered(self, stay: _Stay, answer: Answer) -> None:
        """Count it. A graph answers in order: what was sent before and has no answer was dropped there."""
        with self._changed:
            sent = stay.sent.pop(answer.timestamp, None)
            if sent is None:
                return
            self._residence.answered(stay.replica, answer.received - sent)
            for earlier in [timestamp for timestamp in stay.sent if timestamp < answer.timestamp]:
                del stay.sent[earlier]
                self._replicas.given_up(stay.replica)

    def _forget(self, stay: _Stay) -> None:
        with self._changed:
            while stay.sent:
                stay.sent.popitem()
                self._replicas.given_up(stay.replica)

    def _tell(self, event: Event) -> None:
        assert self._listener is not None
        with self._telling:
            self._listener(event)
