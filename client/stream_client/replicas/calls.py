"""Unary calls over replicas: each goes to the replica that has the least to do.

A replica that breaks gives its unanswered requests to the others. A replica that says that it is not ready gets no more
and may answer what it has. A thread of the session sees to all that, so that neither the sender nor gRPC's threads
wait for a connection.
"""

import math
import threading
import time
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any

from stream_client.errors import ConnectError, ConnectionLostError, StreamClientError, TransportError
from stream_client.replicas.admission import Admission
from stream_client.replicas.lane import Lane, close_lanes
from stream_client.replicas.replica import Replica
from stream_client.transport.base import Answer, Closed, Event, Listener, Placed, Request
from stream_client.util.events import Unsubscribe
from stream_client.util.owned_thread import OwnedThread


@dataclass(slots=True, eq=False)
class _Asked:
    """A request without an answer, and who has it: ``None``, nobody yet. ``sent`` is 0 until it is sent."""

    request: Request
    lane: Lane | None = None
    copied: Lane | None = None
    sent: float = 0.0


class BalancedCalls:
    """Implements :class:`~stream_client.transport.base.Transport`."""

    LOOK_SECONDS = 5.0
    """Seconds after which those that were refused are thought of again."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._replicas = admission.replicas
        self._changed = threading.Condition()
        self._telling = threading.Lock()  # one event at a time
        self._lanes: dict[Replica, Lane] = {}
        self._asked: dict[int, _Asked] = {}
        self._listener: Listener | None = None
        self._request_timeout: float | None = None
        self._unsubscribe: Unsubscribe | None = None
        self._keeper: OwnedThread | None = None
        self._work = self._finishing = self._closed = False
        self._interrupted = False

    @property
    def upload_rate(self) -> float | None:
        """Unknown: gRPC does not report when a request has left."""
        return None

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Connect to all that are ready; raises :class:`.ConnectError` where none can be used."""
        self._listener, self._request_timeout = listener, request_timeout
        self._work = self._finishing = self._closed = False
        deadline = time.monotonic() + min(within, self._admission.connect_timeout)
        while not self._interrupted:
            self._open_missing()
            if self._lanes:
                self._unsubscribe = self._replicas.changed.subscribe(self._wake)
                self._keeper = OwnedThread(self._keep, "replicas' calls")
                self._keeper.start()
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._admission.nobody()
            self._admission.wait(lambda: self._interrupted, left)
        raise ConnectError("the session was ended before a replica answered")

    def encode(self, request: Request) -> Sized:
        """The request's bytes, for the replica that will have it."""
        asked = _Asked(request)
        with self._changed:
            self._asked[request.timestamp] = asked
            self._give(asked)
            lane = asked.lane
        if lane is None:
            return b""
        with lane.encoding:
            return lane.transport.encode(request)

    def send(self, timestamp: int, data: Any) -> None:
        """Start the call, and that of a copy where a slow replica shall be timed."""
        with self._changed:
            asked = self._asked.get(timestamp)
            if asked is None or asked.lane is None or asked.sent:  # the keeper sees to it
                return
            asked.sent = time.monotonic()
            lane, copied = asked.lane, asked.copied
            if copied is not None:
                copied.copies[timestamp] = asked.sent
        lane.transport.send(timestamp, data)
        if copied is not None:
            copied.send(asked.request)

    def finish(self) -> None:
        """Closed once every request is answered."""
        with self._changed:
            self._finishing = True
            ended = not self._asked
        if ended:
            self._close_session(None)

    def interrupt(self) -> None:
        """Wait no more for a connection."""
        self._interrupted = True
        self._replicas.wake()
        with self._changed:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.transport.interrupt()

    def close(self) -> None:
        """Cancel every call and close the connections."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._keeper is not None:
            self._keeper.expect_end()
            self._keeper.join()
            self._keeper = None
        with self._changed:
            lanes, self._lanes = list(self._lanes.values()), {}
            asked, self._asked = list(self._asked.values()), {}
        for one in asked:
            if one.lane is not None:
                self._replicas.given_up(one.lane.replica)
        close_lanes(lanes)
        for lane in lanes:
            self._drop_copies(lane)

    # --- who has what

    def _give(self, asked: _Asked) -> None:
        """Give a request to a replica, if there is one; the lock is held."""
        open_ones = {replica: lane for replica, lane in self._lanes.items() if not lane.ended}
        among = [replica for replica in open_ones if replica.state == "ready"] or list(open_ones)
        asked.lane, asked.copied, asked.sent = None, None, 0.0
        if not among:
            self._wake()
            return
        chosen, copied = self._replicas.take(among)
        asked.lane = open_ones[chosen]
        asked.copied = None if copied is None else open_ones[copied]

    def _drop_copies(self, lane: Lane) -> None:
        with self._changed:
            copies, lane.copies = lane.copies, {}
        for _ in copies:
            self._replicas.given_up(lane.replica)

    # --- the keeper

    def _wake(self) -> None:
        with self._changed:
            self._work = True
            self._changed.notify_all()

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._closed, self.LOOK_SECONDS)
                if self._closed:
                    return
                self._work = False
            dead = self._take_out()
            self._send_orphans()
            close_lanes(dead)
            for lane in dead:
                self._drop_copies(lane)
            self._open_missing()
            if not self._send_orphans():
                self._close_session(ConnectionLostError("every replica is lost"))

    def _take_out(self) -> list[Lane]:
        """The lanes that have ended, or are no longer used; their requests are nobody's."""
        with self._changed:
            needed = {asked.lane for asked in self._asked.values()}
            if not any(lane.replica.state == "ready" for lane in self._lanes.values()):
                needed.update(self._lanes.values())
            dead = [
                lane
                for lane in self._lanes.values()
                if lane.ended or lane.replica.state == "away" or (lane.replica.state != "ready" and lane not in needed)
            ]
            for lane in dead:
                lane.ended = True
                del self._lanes[lane.replica]
            for asked in self._asked.values():
                if asked.lane is not None and asked.lane.ended:
                    self._replicas.given_up(asked.lane.replica, moved=True)
                    asked.lane, asked.sent = None, 0.0
            return dead

    def _send_orphans(self) -> bool:
        """Send what nobody has; ``False`` when nobody can take it."""
        with self._changed:
            orphans = [asked for asked in self._asked.values() if asked.lane is None]
        for asked in orphans:
            with self._changed:
                self._give(asked)
                lane = asked.lane
                if lane is None:
                    self._work = False
                    return False
                asked.sent = time.monotonic()
                if asked.copied is not None:
                    self._replicas.given_up(asked.copied.replica)
            lane.send(asked.request)
        return True

    def _open_missing(self) -> None:
        """Connect to those that are ready and are not connected to."""
        for replica in self._admission.ready():
            with self._changed:
                if replica in self._lanes or self._closed or self._interrupted:
                    continue
            transport = self._admission.transport(replica)
            if transport is None:
                continue
            lane = Lane(replica, transport)
            within = self._admission.CONNECT_SECONDS
            try:
                transport.open(self._listener_of(lane), within=within, request_timeout=self._request_timeout)
            except TransportError:
                transport.close()
                self._replicas.lost(replica)
                continue
            with self._changed:
                self._lanes[replica] = lane

    # --- what is heard

    def _listener_of(self, lane: Lane) -> Listener:
        return lambda event: self._heard(lane, event)

    def _heard(self, lane: Lane, event: Event) -> None:
        if isinstance(event, Closed):
            self._lane_ended(lane, event.error)
            return
        assert not isinstance(event, Placed)  # a lane is of one server
        with self._changed:
            asked = self._asked.get(event.timestamp) if event.timestamp is not None else None
            own = asked is not None and asked.lane is lane
            if own and asked is not None and event.timestamp is not None:
                sent: float | None = asked.sent
                del self._asked[event.timestamp]
            else:
                sent = lane.copies.pop(event.timestamp, None) if event.timestamp is not None else None
            ended = self._finishing and not self._asked
            if lane.replica.state != "ready":
                self._wake()
        if sent is not None:
            if isinstance(event, Answer):
                self._replicas.answered(lane.replica, event.received - sent)
            else:
                self._replicas.failed(lane.replica)
        if own:
            self._tell(event)
            if ended:
                self._close_session(None)

    def _lane_ended(self, lane: Lane, error: StreamClientError | None) -> None:
        if error is not None and not isinstance(error, TransportError):
            self._close_session(error)
            return
        with self._changed:
            lane.ended = True
        self._replicas.lost(lane.replica)
        self._wake()

    def _close_session(self, error: StreamClientError | None) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._tell(Closed(error))

    def _tell(self, event: Event) -> None:
        assert self._listener is not None
        with self._telling:
            self._listener(event)
