"""A stream's way from room to a process, and to the next one; Ray and the processes are played."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from stream_client.fleet.cluster import hosts as hosts_module
from stream_client.fleet.cluster import placed as placed_module
from stream_client.fleet.cluster.host import Assigned, StreamReport
from stream_client.fleet.cluster.hosts import Host, Hosts
from stream_client.fleet.cluster.lease import LEASE_SECONDS
from stream_client.fleet.cluster.placed import PlacedStream
from stream_client.fleet.cluster.placement import ClusterState, Need, Node
from stream_client.fleet.cluster.rooms import Rooms
from stream_client.fleet.cluster.store import Kept, Store
from stream_client.fleet.plan import StreamPlan

PLAN = StreamPlan("door", {"input_stream": "a"})
OTHER = StreamPlan("door", {"input_stream": "b"})
BOTH = ClusterState(tuple(Node(name, name, 4, 8 << 30, {}) for name in "ab"))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Actor:
    """A process that does at once what it is told. ``lingers``: streams that do not end."""

    def __init__(self) -> None:
        self.runs: dict[str, Assigned] = {}
        self.lingers: set[str] = set()
        self.work = self

    def remote(self, assigned: tuple[Assigned, ...], looked: frozenset[str]) -> list[StreamReport]:
        kept = {name: each for name, each in self.runs.items() if name in self.lingers}
        self.runs = {each.plan.name: each for each in assigned} | kept
        return [StreamReport(each.plan, None, None, None, 1, "", "", None) for each in self.runs.values()]


class Answering:
    """As much of Ray as a :class:`Host` needs."""

    @staticmethod
    def get(answer: object) -> object:
        return answer


@dataclass
class Played:
    """Implements what a stream uses of hosts, rooms and the store."""

    there: dict[str, Host] = field(default_factory=dict)
    rooms: dict[str, Need] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)

    def find(self, name: str) -> Host | None:
        return self.there.get(name)

    def on(self, node: str) -> Host | None:
        return next((host for host in self.there.values() if host.node == node and not host.lost), None)

    def problem(self, node: str) -> str:
        return ""

    def is_reserved(self, name: str) -> bool:
        return name in self.rooms

    def reserve(self, name: str, need: Need, draining: frozenset[str]) -> None:
        self.rooms[name] = need

    def free(self, name: str) -> None:
        self.rooms.pop(name, None)

    def keep(self, kept: Kept) -> None:
        self.kept[kept.plan.name] = kept

    def forget(self, name: str) -> None:
        del self.kept[name]


class Cluster:
    """Two nodes with a process each, and one stream."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.actors = {node: Actor() for node in "ab"}
        self.played = Played({node: Host(node, node, actor) for node, actor in self.actors.items()})
        self.stream = self.supervised(Kept(PLAN))

    def supervised(self, kept: Kept) -> PlacedStream:
        """The stream, as a supervisor finds it that is new."""
        played = cast(Any, self.played)
        return PlacedStream(cast(Hosts, played), cast(Rooms, played), cast(Store, played), kept)

    def go_on(self, node: str | None = None, cluster: ClusterState = BOTH, times: int = 3) -> None:
        """Some looks, with room on ``node``."""
        for _ in range(times):
            if self.stream.gone:
                return
            self.stream.go_on(cluster, node)
            for host in self.played.there.values():
                if not host.lost:
                    host.go_on()
                    if host.pending is not None:
                        host.answered(cast(Any, Answering))

    @property
    def runs(self) -> Mapping[str, int]:
        """The epochs of the stream by node."""
        return {node: actor.runs["door"].epoch for node, actor in self.actors.items() if "door" in actor.runs}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    clock = Clock()
    for module in (placed_module, hosts_module):
        monkeypatch.setattr(module, "time", clock)
    return Cluster(clock)


def test_a_new_stream_runs_as_soon_as_there_is_room(cluster: Cluster) -> None:
    cluster.go_on()
    assert list(cluster.played.rooms) == ["door, 1"]
    assert cluster.runs == {}
    cluster.go_on("a")
    assert cluster.runs == {"a": 1}
    assert cluster.stream.node == "a"


def test_what_a_lost_node_had_runs_elsewhere_when_its_lease_has_run_out(cluster: Cluster) -> None:
    cluster.go_on("a")
    cluster.played.there["a"].lost = "the node is gone"
    cluster.go_on("b", ClusterState(BOTH.nodes[1:]))
    assert "b" not in cluster.runs
    assert list(cluster.played.rooms) == ["door, 2"]
    cluster.clock.now += LEASE_SECONDS
    cluster.go_on("b")
    assert cluster.runs["b"] == 2


def test_a_process_that_ends_with_a_stream_again_and_again_makes_it_wait(cluster: Cluster) -> None:
    cluster.go_on("a")
    cluster.played.there["a"].lost = "it crashed"
    cluster.go_on("b")
    assert cluster.played.rooms == {"door, 1": cluster.played.rooms["door, 1"]}  # not yet
    cluster.clock.now += 1.0
    cluster.go_on("b")
    assert list(cluster.played.rooms) == ["door, 2"]


def test_a_changed_stream_begins_when_the_one_before_has_ended(cluster: Cluster) -> None:
    cluster.go_on("a")
    cluster.actors["a"].lingers.add("door")
    cluster.stream.want(OTHER, paused=False)
    cluster.go_on("b")
    assert cluster.runs == {"a": 1}
    cluster.actors["a"].lingers.clear()
    cluster.clock.now += 1.0
    cluster.go_on("b", times=4)
    assert cluster.runs == {"b": 2}  # its outputs are finished, so nothing is waited for


def test_a_drained_node_is_left(cluster: Cluster) -> None:
    cluster.go_on("a")
    cluster.go_on("b", ClusterState(BOTH.nodes, frozenset("a")), times=5)
    assert cluster.runs == {"b": 2}


def test_a_removed_stream_gives_its_room_back(cluster: Cluster) -> None:
    cluster.go_on("a")
    cluster.stream.remove()
    cluster.go_on(times=4)
    assert cluster.stream.gone
    assert cluster.runs == {}
    assert cluster.played.rooms == cluster.played.kept == {}


def test_a_new_supervisor_finds_streams_where_they_are_and_what_waits_waiting(cluster: Cluster) -> None:
    cluster.go_on()
    cluster.stream = cluster.supervised(cluster.played.kept["door"])
    cluster.clock.now += LEASE_SECONDS
    cluster.go_on("a")
    assert cluster.runs == {"a": 1}
    cluster.stream = cluster.supervised(cluster.played.kept["door"])
    cluster.go_on("b")
    assert cluster.runs == {"a": 1}
    cluster.stream.want(PLAN, paused=True)
    cluster.go_on()
    assert cluster.actors["a"].runs["door"].paused
