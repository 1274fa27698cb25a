"""The replicas of a list: when sessions move, with a time of its own."""

import pytest

from stream_client.replicas.load import REST_SECONDS
from stream_client.replicas.pool import Replicas
from stream_client.transport.options import TransportOptions


@pytest.mark.parametrize(("sessions", "even"), [((3, 2, 2), True), ((4, 2, 2), False)])
def test_a_session_leaves_where_another_replica_has_two_less(sessions: tuple[int, ...], even: bool) -> None:
    now = 0.0
    pool = Replicas(TransportOptions("a:1,b:1,c:1"), clock=lambda: now)
    for replica, count in zip(pool.all(), sessions, strict=True):
        pool.found(replica, ready=True)
        replica.load.sessions = count
    first, *others = pool.all()
    assert pool.is_even(first) is even
    assert pool.may_move(first, others) is not even
    first.load.sessions = sessions[0]
    others[0].load.sessions = 0
    now += Replicas.EVEN_SECONDS
    assert not pool.is_even(first)  # it looks again


def test_replicas_that_are_not_well_draw_no_sessions() -> None:
    pool = Replicas(TransportOptions("a:1,b:1,c:1"), clock=lambda: 0.0)
    first, away, slow = pool.all()
    for replica in (first, slow):
        pool.found(replica, ready=True)
    first.load.sessions = 8
    slow.load.left_as_slow(now=0.0)
    assert away.state == "unknown"
    assert pool.is_even(first)


def test_a_slow_replica_that_was_away_rests_on_and_rests_longer_the_next_time() -> None:
    now = 0.0
    pool = Replicas(TransportOptions("a:1,b:1"), clock=lambda: now)
    slow, other = pool.all()
    for replica in (slow, other):
        pool.found(replica, ready=True)
    for seconds in (REST_SECONDS, 2 * REST_SECONDS, 4 * REST_SECONDS):
        slow.load.left_as_slow(now)
        pool.lost(slow)
        pool.found(slow, ready=True)
        assert pool.place(pool.ready()) is other
        now += seconds
        assert slow.load.takes_sessions(now)
