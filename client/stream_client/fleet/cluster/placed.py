"""One stream of the cluster: from what is wanted of it to room on some node, to a process there, and to the next."""

import logging
import time
from dataclasses import replace

from stream_client.fleet.cluster.host import Assigned, StreamReport
from stream_client.fleet.cluster.hosts import Host, Hosts
from stream_client.fleet.cluster.lease import LEASE_SECONDS
from stream_client.fleet.cluster.placement import ClusterState, lacking, need_of
from stream_client.fleet.cluster.rooms import Rooms
from stream_client.fleet.cluster.store import Kept, Store
from stream_client.fleet.plan import StreamPlan
from stream_client.util.backoff import Backoff

logger = logging.getLogger(__name__)

_SCHEDULED_SECONDS = 3.0
"""A stream that has no node after so long waits for something."""
_SCATTERED_SECONDS = 30.0
"""It waits for what no single node has."""
_LASTING = 30.0


class PlacedStream:
    """For one thread at a time."""

    def __init__(self, hosts: Hosts, rooms: Rooms, store: Store, kept: Kept) -> None:
        self.problem = ""
        self.moves = 0
        self.gone = False
        self._hosts = hosts
        self._rooms = rooms
        self._store = store
        self._kept = kept
        self._removed = False
        self._leaving = False
        self._reserved = kept.epoch > 0 and not kept.host and rooms.is_reserved(self.room)
        self._placed = time.monotonic()
        self._begin = self._placed + LEASE_SECONDS if kept.epoch else 0.0
        """When no placement before can deliver any more."""
        self._due = 0.0
        self._backoff = Backoff(1.0, 60.0)
        self._host: Host | None = None
        if kept.host:
            self._adopt(hosts.find(kept.host))

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._kept.plan.name

    @property
    def epoch(self) -> int:
        """The number of its newest placement."""
        return self._kept.epoch

    @property
    def node(self) -> str:
        """The id of its node; empty while its process has not said what it does."""
        return self._host.node if self._host is not None and self.report is not None else ""

    @property
    def report(self) -> StreamReport | None:
        """What its process has said last; ``None`` before its first word."""
        return None if self._host is None else self._host.reports.get(self.name)

    @property
    def room(self) -> str:
        """The name of what is reserved for its newest placement."""
        return f"{self.name}, {self._kept.epoch}"

    @property
    def waits_for_room(self) -> bool:
        """Whether room is reserved for it, and not found yet, or not used."""
        return self._reserved and self._host is None

    def want(self, plan: StreamPlan, *, paused: bool) -> None:
        """Run ``plan`` from now on."""
        self._removed = False
        if (plan, paused) != (self._kept.plan, self._kept.paused):
            self._keep(replace(self._kept, plan=plan, paused=paused))

    def remove(self) -> None:
        """End the stream."""
        self._removed = True

    def look(self, yes: bool) -> None:
        """Have pictures of it, or no longer."""
        if self._host is not None:
            (self._host.looked.add if yes else self._host.looked.discard)(self.name)

    def go_on(self, cluster: ClusterState, node: str | None) -> None:
        """The next step to what is wanted. There is room for it on ``node``; ``None``: not yet."""
        now = time.monotonic()
        host = self._host
        if host is None:
            self._find_place(cluster, node, now)
        elif host.lost:
            self._lost(host, cluster, now)
        elif self._leaving or self._shall_leave(host, cluster.draining):
            self._leaving = True
            host.withdraw(self.name)
            if host.has_ended(self.name):
                self._leave(begin=now, due=now)
        else:
            self._follow(host)

    def _find_place(self, cluster: ClusterState, node: str | None, now: float) -> None:
        if self._removed:
            self._rooms.free(self.room)
            self._store.forget(self.name)
            self.gone = True
        elif not self._reserved:
            if now >= self._due:
                self._reserve(cluster.draining, now)
        elif node in cluster.draining:
            self._reserve(cluster.draining, now)
        elif node is not None:
            host = self._hosts.on(node)
            if host is not None and now >= self._begin:
                self._keep(replace(self._kept, host=host.name))
                self._adopt(host)
                self._placed = now
            self.problem = self._hosts.problem(node)
        elif now >= self._placed + _SCHEDULED_SECONDS:
            need = need_of(self._kept)
            self.problem = lacking(need, cluster)
            if not self.problem and now >= self._placed + _SCATTERED_SECONDS:
                self.problem = f"no node that it may run on has {need.cores:g} cores and {need.memory >> 20} MiB free"

    def _reserve(self, draining: frozenset[str], now: float) -> None:
        self._rooms.free(self.room)
        self._keep(replace(self._kept, epoch=self._kept.epoch + 1, host=""))
        self._rooms.reserve(self.room, need_of(self._kept), draining)
        self._reserved, self._placed = True, now
        logger.info("%s: placement %d", self.name, self._kept.epoch)

    def _adopt(self, host: Host | None) -> None:
        if host is not None:
            self._host, self._reserved = host, True
            host.assign(Assigned(self._kept.plan, self._kept.epoch, self._kept.paused))

    def _shall_leave(self, host: Host, draining: frozenset[str]) -> bool:
        known = self.report or host.assigned.get(self.name)
        return self._removed or known is None or known.plan != self._kept.plan or host.node in draining

    def _follow(self, host: Host) -> None:
        """Take what is known of it, and tell whether it is paused."""
        report, assigned = self.report, host.assigned[self.name]
        if assigned.paused != self._kept.paused:
            host.assign(replace(assigned, paused=self._kept.paused))
        if report is not None:
            self.problem = report.problem
            if report.cores is not None:
                self._kept = replace(self._kept, cores=report.cores, memory=report.memory)

    def _lost(self, host: Host, cluster: ClusterState, now: float) -> None:
        """Its process or its node is gone. A process may be gone because of this stream, and be gone again."""
        logger.warning("%s: placement %d is lost", self.name, self._kept.epoch)
        if now - self._placed > _LASTING:
            self._backoff.reset()
        node_lives = host.node in {each.id for each in cluster.nodes}
        self.moves += 1
        self._leave(begin=now + LEASE_SECONDS, due=now + self._backoff.next() if node_lives else now)

    def _leave(self, *, begin: float, due: float) -> None:
        self._host, self._leaving, self._reserved = None, False, False
        self._begin, self._due = begin, due
        self.problem = ""

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        self._store.keep(kept)
