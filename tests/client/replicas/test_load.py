"""Which replica takes the next request or session: pure, with a time of its own."""

import random
from collections import Counter

import pytest

from stream_client.replicas.load import FAILURES, RECENT_SECONDS, Load, choose, judge, place, to_copy

SEED = 7


def loaded(*services: float, in_flight: int = 1, now: float = 0.0) -> list[Load]:
    """Busy replicas that have lately taken so many seconds for each of ten requests."""
    loads = [Load(in_flight=in_flight) for _ in services]
    for load, seconds in zip(loads, services, strict=True):
        for _ in range(10):
            load.took(seconds, now)
    return loads


def test_of_two_the_one_with_fewer_requests_and_shorter_times_takes_the_next() -> None:
    chance = random.Random(SEED)
    quick, slower = loaded(0.01, 0.02)
    assert choose([quick, slower], chance) is quick
    quick.in_flight = 4
    assert choose([quick, slower], chance) is slower


def test_nobody_stands_still_while_others_have_queues() -> None:
    loads = loaded(*[0.01] * 8)
    loads[5].in_flight = 0
    assert choose(loads, random.Random(SEED)) is loads[5]


def test_a_new_replica_is_not_flooded() -> None:
    """Its time is unknown, and taken for that of the others."""
    known, new = *loaded(0.01), Load()
    chance = random.Random(SEED)
    for _ in range(100):
        choose([known, new], chance).in_flight += 1
    assert abs(known.in_flight - new.in_flight) <= 2


def test_two_are_drawn_so_that_many_clients_do_not_all_go_to_one() -> None:
    loads = loaded(*(0.010 + 0.0001 * number for number in range(8)))
    chance = random.Random(SEED)
    drawn = Counter(loads.index(choose(loads, chance)) for _ in range(1000))
    assert len(drawn) == 7  # all but the last of the order
    assert max(drawn.values()) < 400


def test_three_times_the_others_is_slow_and_gets_copies_only() -> None:
    loads = loaded(0.02, 0.02, 0.06)
    judge(loads, now=1.0)
    assert [load.slow for load in loads] == [False, False, True]
    chance = random.Random(SEED)
    loads[2].in_flight = 0
    assert {loads.index(choose(loads, chance)) for _ in range(100)} == {0, 1}
    assert to_copy(loads, loads[0], now=1.0) is loads[2]
    assert to_copy(loads, loads[0], now=1.5) is None  # one a second
    assert to_copy(loads, loads[0], now=2.0) is loads[2]


def test_a_slow_replica_that_recovers_is_used_again() -> None:
    loads = loaded(0.02, 0.02, 0.06)
    judge(loads, now=1.0)
    later = 1.0 + RECENT_SECONDS
    for load in loads:
        for _ in range(5):
            load.took(0.02, later)
    judge(loads, now=later)
    assert not any(load.slow for load in loads)


def test_one_that_hangs_between_is_judged_as_before() -> None:
    """Between three and two times the others nothing changes."""
    loads = loaded(0.02, 0.02, 0.05)
    judge(loads, now=1.0)
    assert not loads[2].slow
    loads[2].slow = True
    judge(loads, now=1.0)
    assert loads[2].slow


@pytest.mark.parametrize("services", [(0.001, 0.004), (0.02,)])
def test_milliseconds_and_a_replica_alone_say_nothing(services: tuple[float, ...]) -> None:
    loads = loaded(*services)
    judge(loads, now=1.0)
    assert not any(load.slow for load in loads)


def test_when_nobody_knows_any_more_nobody_is_slow() -> None:
    loads = loaded(0.02, 0.06)
    judge(loads, now=1.0)
    assert loads[1].slow
    judge(loads, now=2.0 + RECENT_SECONDS)
    assert not loads[1].slow


def test_one_whose_requests_fail_gets_copies_until_one_is_answered() -> None:
    loads = loaded(0.02, 0.02)
    for _ in range(FAILURES):
        loads[1].failed()
    judge(loads, now=1.0)
    assert [load.slow for load in loads] == [False, True]
    loads[1].took(0.02, 1.0)
    judge(loads, now=1.0)
    assert not loads[1].slow


def test_where_every_request_fails_the_replicas_are_not_to_blame() -> None:
    loads = loaded(0.02, 0.02)
    for load in loads:
        for _ in range(FAILURES):
            load.failed()
    judge(loads, now=1.0)
    assert not any(load.slow for load in loads)


def test_if_all_are_slow_they_are_used() -> None:
    loads = [Load(slow=True)]
    assert choose(loads, random.Random(SEED)) is loads[0]
    assert place(loads, 0.0, random.Random(SEED)) is loads[0]


def test_sessions_go_where_the_fewest_are() -> None:
    loads = [Load() for _ in range(3)]
    chance = random.Random(SEED)
    for _ in range(7):
        place(loads, 0.0, chance).sessions += 1
    assert sorted(load.sessions for load in loads) == [2, 2, 3]
