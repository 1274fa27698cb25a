"""When a streaming session leaves a slow replica: real pool and residences, with a time of its own."""

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from stream_client.replicas.load import REST_SECONDS
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica
from stream_client.replicas.residence import Residence
from stream_client.transport.options import TransportOptions

SEED = 7
INTERVAL = 0.1
"""Seconds between two frames of a stream."""


class Stream:
    """A session that sends a frame at a time. ``cost``: its frames take so many times as long as others'."""

    def __init__(self, pool: Replicas, chance: random.Random, cost: float = 1.0) -> None:
        self.cost = cost
        self.moves = 0
        self._pool = pool
        self._residence = Residence(pool, pool.ready, chance)
        self.replica = self._begin()

    def _begin(self) -> Replica:
        self._residence.settle()
        return self._pool.place(self._pool.ready())

    def frame(self, seconds: float) -> None:
        """Sent, and answered after so long where its replica is well."""
        if self._residence.shall_leave(self.replica, 0.0):
            self._pool.left(self.replica, moved=True)
            self.moves += 1
            self.replica = self._begin()
        self._pool.sent(self.replica)
        self._residence.answered(self.replica, self.cost * seconds)


class World:
    """Replicas and streams in simulated time; ``slowness`` of replicas by name, 1 by default."""

    def __init__(self, replicas: int) -> None:
        self.now = 0.0
        self.slowness: dict[str, float] = {}
        self.chance = random.Random(SEED)
        names = [f"{letter}:1" for letter in "abcdefgh"[:replicas]]
        self.pool = Replicas(TransportOptions(",".join(names)), chance=self.chance, clock=lambda: self.now)
        for replica in self.pool.all():
            self.pool.found(replica, ready=True)
        self.streams: list[Stream] = []

    def add(self, *costs: float) -> None:
        """Streams whose frames cost so much."""
        self.streams += [Stream(self.pool, self.chance, cost) for cost in costs]

    def run(self, seconds: float, each: Callable[[], object] = lambda: None) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += INTERVAL
            for stream in self.streams:
                stream.frame(0.02 * self.slowness.get(stream.replica.address, 1.0) * self.chance.uniform(0.8, 1.2))
            each()

    @property
    def homes(self) -> Counter[str]:
        """How many streams live where."""
        return Counter(stream.replica.address for stream in self.streams)

    @property
    def moves(self) -> int:
        return sum(stream.moves for stream in self.streams)


def test_sessions_leave_a_slow_replica_one_after_another_and_come_back_when_it_is_well() -> None:
    world = World(3)
    world.add(*[1.0] * 12)
    world.run(15)
    assert world.homes == {"a:1": 4, "b:1": 4, "c:1": 4}
    assert not world.moves
    world.slowness["a:1"] = 4.0
    steps: list[int] = []
    world.run(9, lambda: steps.append(world.homes["a:1"]))
    assert world.homes == {"b:1": 6, "c:1": 6}
    assert all(before - now <= 1 for before, now in itertools.pairwise(steps))
    assert world.moves == 4
    world.slowness.clear()
    world.run(60)
    assert world.homes == {"a:1": 4, "b:1": 4, "c:1": 4}


def test_a_replica_that_stays_slow_is_tried_by_one_session_ever_more_rarely() -> None:
    world = World(3)
    world.add(*[1.0] * 12)
    world.slowness["a:1"] = 4.0
    world.run(20)
    tries: list[float] = []
    left = world.moves
    counts: list[int] = []
    for _ in range(60):
        before = world.homes["a:1"]
        world.run(10, lambda: counts.append(world.homes["a:1"]))
        if world.homes["a:1"] > before:
            tries.append(world.now)
    assert max(counts) == 1
    assert world.moves - left <= 14  # there and back after 10, 20, 40, 80, 160 and 320 s
    assert world.pool.snapshot()[0].slow


def test_a_stream_whose_own_frames_take_long_comes_to_rest() -> None:
    world = World(3)
    world.add(6.0, *[1.0] * 5)
    world.run(600)
    assert world.streams[0].moves
    assert world.moves <= 3  # and what that evens out


def test_two_replicas_and_two_streams_of_which_one_takes_long_come_to_rest() -> None:
    """Here the stream's own times are the only ones of the other replica."""
    world = World(2)
    world.add(6.0, 1.0)
    world.run(60)
    moves = world.moves
    world.run(600)
    assert world.moves == moves <= 3


def test_where_all_are_slow_or_nothing_is_known_of_others_everybody_stays() -> None:
    world = World(3)
    world.add(*[1.0] * 6)
    world.run(15)
    world.slowness.update(dict.fromkeys(("a:1", "b:1", "c:1"), 8.0))
    world.run(60)
    assert not world.moves
    alone = World(3)
    alone.add(1.0)
    alone.run(15)
    alone.slowness[alone.streams[0].replica.address] = 8.0
    alone.run(60)
    assert not alone.moves


@pytest.mark.parametrize(("slowness", "seconds"), [(2.5, 60.0), (8.0, 1.5)])
def test_not_three_times_or_not_for_long_is_no_reason(slowness: float, seconds: float) -> None:
    world = World(3)
    world.add(*[1.0] * 6)
    world.run(15)
    world.slowness["a:1"] = slowness
    world.run(seconds)
    world.slowness.clear()
    world.run(15)
    assert not world.moves


def test_processes_do_not_leave_together() -> None:
    """Each of eight has a session at the slow replica."""

    def left(seed: int) -> float:
        world = World(2)
        world.chance.seed(seed)
        world.add(1.0, 1.0)
        world.run(15)
        world.slowness["a:1"] = 5.0
        there = []
        world.run(REST_SECONDS, lambda: there.append(world.homes["a:1"]))
        return sum(there)

    assert len({left(seed) for seed in range(8)}) > 4
