"""The replicas of a list: when sessions move, with a time of its own."""

import pytest

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
