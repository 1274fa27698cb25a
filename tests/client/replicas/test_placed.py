"""A session that lives on one of several replicas: a real pool, and transports that answer nothing."""

import itertools

import pytest

from stream_client.errors import ConnectionLostError
from stream_client.replicas.admission import Admission
from stream_client.replicas.placed import PlacedSession
from stream_client.replicas.pool import Replicas
from stream_client.transport.base import Closed, Event, Placed, Request
from stream_client.transport.options import TransportOptions
from stream_client.transport.session import own_session
from tests.support.silent_transport import SilentTransport


class Stream:
    """A session, and what its listener heard."""

    def __init__(self, pool: Replicas) -> None:
        servable = own_session(SilentTransport(), "m").servable
        admission = Admission(pool, pool.options, servable)
        for replica in pool.all():
            admission.admit(replica, own_session(SilentTransport(), "m"))
        self.heard: list[Event] = []
        self.session = PlacedSession(admission)
        self.session.open(self.heard.append)

    def send(self, timestamp: int) -> None:
        self.session.send(timestamp, self.session.encode(Request(timestamp, ())))


def test_a_session_that_leaves_a_replica_which_owes_answers_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PlacedSession, "MOVE_TIMEOUT", 0.05)
    pool = Replicas(TransportOptions("a:1,b:1"), clock=itertools.count().__next__)
    slow, other = pool.all()
    pool.found(slow, ready=True)
    for replica in (slow, other):
        replica.epoch = 1  # as it was when the sessions were admitted
    leaving, staying = Stream(pool), Stream(pool)
    leaving.send(1)
    other.state = "ready"
    leaving.send(2)  # it leaves, since the other replica has two sessions less
    placed, closed = leaving.heard
    assert placed == Placed("a:1")
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, ConnectionLostError)
    assert slow.state == "ready"
    assert staying.heard == [Placed("a:1")]
    for stream in (leaving, staying):
        stream.session.close()
    assert (slow.load.sessions, slow.load.in_flight) == (0, 0)
