"""What a fleet shall be, and the actor that makes it so. It outlives the command that began the fleet."""

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType

from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError
from stream_client.fleet.cluster.connection import import_ray
from stream_client.fleet.cluster.hosts import Hosts
from stream_client.fleet.cluster.placed import PlacedStream
from stream_client.fleet.cluster.placement import ClusterState, read_nodes
from stream_client.fleet.cluster.rooms import Rooms
from stream_client.fleet.cluster.served import NodeServers
from stream_client.fleet.cluster.store import Kept, Store
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.supervised import StreamState, StreamStatus
from stream_client.monitoring.statistics import StatisticsSnapshot
from stream_client.plain_text import one_line
from stream_client.util.redact import redact

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_CLUSTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PlacedStatus:
    """A stream of the cluster now. ``node`` is the id of its node and ``address`` where it is; empty without one.

    ``epoch`` counts its placements, ``cores`` is the processor time that it takes, in seconds a second.
    """

    status: StreamStatus
    node: str
    address: str
    epoch: int
    cores: float | None
    statistics: StatisticsSnapshot | None
    picture: bytes | None


class Supervisor:
    """Places streams, and places them again when their process or node is lost. An actor, restarted by Ray itself.

    All it knows is in the cluster's :class:`.Store`: one that is restarted finds its streams running.
    """

    def __init__(self, fleet: str, folder: str) -> None:
        self._store = Store(fleet)
        self._hosts = Hosts(fleet, folder, self._store, import_ray())
        self._rooms = Rooms(fleet)
        self._servers = NodeServers(fleet, self._store)
        self._lock = threading.Lock()
        self._cluster = ClusterState(draining=self._store.draining())
        self._streams = {kept.plan.name: self._placed(kept) for kept in self._store.streams()}
        threading.Thread(target=self._look, name="supervisor", daemon=True).start()

    def apply(self, plans: Iterable[StreamPlan], paused: Collection[str], servers: EmbeddedOptions | None) -> None:
        """Make these the streams: others end, changed ones start anew. ``servers``: on each node one like that."""
        wanted = {plan.name: plan for plan in plans}
        with self._lock:
            self._servers.want(servers)
            for name, stream in self._streams.items():
                if name not in wanted:
                    stream.remove()
            for name, plan in wanted.items():
                if name in self._streams:
                    self._streams[name].want(plan, paused=name in paused)
                else:
                    kept = Kept(plan, name in paused, self._store.epoch(name))
                    self._store.keep(kept)
                    self._streams[name] = self._placed(kept)

    def drain(self, node: str) -> str:
        """Let the streams of a node go to others, and none come. ``node`` begins its id, or is its address.

        Returns the id of the node; raises :class:`.ConfigurationError` where it is none, or not one.
        """
        with self._lock:
            nodes = self._cluster.nodes
            found = [each for each in nodes if each.id.startswith(node) or each.address == node]
            if len(found) != 1:
                known = ", ".join(f"{each.id[:12]} ({each.address})" for each in nodes)
                raise ConfigurationError(f"{node!r} is {len(found)} nodes of the cluster, which has {known}")
            draining = self._cluster.draining | {found[0].id}
            self._store.drain(draining)
            self._cluster = replace(self._cluster, draining=draining)
        return found[0].id

    def end(self) -> None:
        """End all processes, and forget which nodes were drained."""
        with self._lock:
            self._hosts.end()
            self._store.drain(frozenset())
            self._cluster = replace(self._cluster, draining=frozenset())

    def status(self, looked: Collection[str]) -> list[PlacedStatus]:
        """Every stream now, by name; from now on with pictures of those that are ``looked`` at."""
        with self._lock:
            for name, stream in self._streams.items():
                stream.look(name in looked)
            addresses = {node.id: node.address for node in self._cluster.nodes}
            streams = sorted(self._streams.values(), key=lambda stream: stream.name)
            return [_status(stream, addresses) for stream in streams]

    def _placed(self, kept: Kept) -> PlacedStream:
        return PlacedStream(self._hosts, self._rooms, self._store, kept)

    def _look(self) -> None:
        ray = import_ray()
        due = 0.0
        while True:
            try:
                if time.monotonic() >= due:
                    self._look_at_cluster(ray)
                    due = time.monotonic() + _CLUSTER_SECONDS
                self._step(ray)
            except Exception:
                logger.exception("the supervisor goes on after a fault")
            time.sleep(_LOOK_SECONDS)

    def _look_at_cluster(self, ray: ModuleType) -> None:
        nodes, free = read_nodes(ray.nodes()), ray.available_resources()
        with self._lock:
            self._cluster = replace(self._cluster, nodes=nodes, free=free)
            self._servers.go_on(ray, nodes, self._cluster.draining)

    def _step(self, ray: ModuleType) -> None:
        with self._lock:
            lost = self._hosts.answers()
        if lost:
            self._look_at_cluster(ray)  # was it the process, or its node?
        with self._lock:
            streams = list(self._streams.values())
            rooms = self._rooms.found() if any(each.waits_for_room for each in streams) else {}
            for stream in streams:
                try:
                    stream.go_on(self._cluster, rooms.get(stream.room))
                except Exception as error:  # one stream harms no other
                    logger.exception("%s", stream.name)
                    stream.problem = f"it is not placed: {redact(one_line(str(error)))}"
            self._streams = {name: each for name, each in self._streams.items() if not each.gone}
            self._hosts.go_on(self._cluster, wanted=bool(self._streams))


def _status(stream: PlacedStream, addresses: Mapping[str, str]) -> PlacedStatus:
    report = stream.report
    status = report.status if report is not None else None
    problem = stream.problem
    if status is None:
        waits_for = report.waits_for if report is not None else ""
        state: StreamState = "stopped" if problem and report else "starting" if waits_for else "waiting"
        status = StreamStatus(stream.name, state, 0, 0, 0, 0.0, None, 0, "", waits_for=waits_for)
    status = replace(status, restarts=status.restarts + stream.moves, problem=problem or status.problem)
    if report is None:
        return PlacedStatus(status, "", "", stream.epoch, None, None, None)
    address = addresses.get(stream.node, "")
    return PlacedStatus(status, stream.node, address, stream.epoch, report.cores, report.statistics, report.picture)
