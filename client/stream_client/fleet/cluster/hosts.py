"""The processes of a fleet on the nodes of the cluster, as its supervisor sees them.

A stream's failover shall cost the start of a run, and not that of a process. So each node has a process with room for
more streams, which has loaded everything that they need.
"""

import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from stream_client.fleet.cluster.connection import NAMESPACE
from stream_client.fleet.cluster.host import Assigned, StreamHost, StreamReport
from stream_client.fleet.cluster.placement import ClusterState
from stream_client.fleet.cluster.store import Store
from stream_client.util.backoff import Backoff

logger = logging.getLogger(__name__)

MOST_STREAMS = 16
"""Of a process. Python's lock, and what the end of one process costs, are bounded by it."""
SPARE_STREAMS = 8
"""So many more, at least, find a process on their node that runs already."""
_REPORT_SECONDS = 0.5


class Host:
    """One process. ``lost`` says why it is gone, empty while it lives; ``started``: it has answered once.

    For one thread at a time.
    """

    def __init__(self, name: str, node: str, actor: Any) -> None:
        self.name = name
        self.node = node
        self.actor = actor
        self.assigned: dict[str, Assigned] = {}
        self.looked: set[str] = set()
        self.reports: Mapping[str, StreamReport] = {}
        self.lost = "" if actor is not None else "it has gone"
        self.started = False
        self.pending: Any = None
        """The answer that is waited for."""
        self._told: tuple[Sequence[Assigned], frozenset[str]] | None = None
        self._due = 0.0

    def assign(self, assigned: Assigned) -> None:
        """Run a stream from now on."""
        self.assigned[assigned.plan.name] = assigned

    def withdraw(self, name: str) -> None:
        """Run a stream no more. It may run still, until :meth:`has_ended`."""
        self.assigned.pop(name, None)

    def has_ended(self, name: str) -> bool:
        """Whether it has answered that a stream that was withdrawn is over, with its outputs finished."""
        told = self._told is not None and name not in {each.plan.name for each in self._told[0]}
        return told and self.pending is None and name not in self.reports

    def go_on(self) -> None:
        """Tell it what to do, and ask what it does."""
        tell = tuple(self.assigned.values()), frozenset(self.looked & self.assigned.keys())
        now = time.monotonic()
        if self.pending is None and (now >= self._due or self._told not in (None, tell)):
            self._due, self._told = now + _REPORT_SECONDS, tell
            self.pending = self.actor.work.remote(*tell)

    def answered(self, ray: ModuleType) -> None:
        """Take the answer that was waited for."""
        reference, self.pending = self.pending, None
        try:
            self.reports = {each.plan.name: each for each in ray.get(reference)}
            self.started = True
        except ray.exceptions.ActorUnavailableError:
            self._told = None  # asked again
        except ray.exceptions.RayActorError as error:
            self.lost = str(error)
        except ray.exceptions.RayError as error:
            logger.warning("%s: %s", self.name, error)
            self._told = None


@dataclass(slots=True)
class _Fault:
    """Processes of a node that did not start. ``due``: when the next one may."""

    why: str = ""
    due: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 60.0))

    def again(self, why: str) -> None:
        self.why, self.due = why, time.monotonic() + self.backoff.next()


class Hosts:
    """All of a fleet's. For one thread at a time."""

    def __init__(self, fleet: str, folder: str, store: Store, ray: ModuleType) -> None:
        self._fleet = fleet
        self._folder = folder
        self._store = store
        self._ray = ray
        self._actors = ray.remote(StreamHost)  # once for all: it is sent through the cluster
        self._hosts = {name: Host(name, node, self._found(name)) for name, node in store.hosts().items()}
        self._faults: dict[str, _Fault] = {}

    def find(self, name: str) -> Host | None:
        """The process of that name; ``None`` where it is gone."""
        return self._hosts.get(name)

    def on(self, node: str) -> Host | None:
        """A process on ``node`` with room for a stream, the fullest that has; ``None`` where there is none now."""
        with_room = [each for each in self._of(node) if len(each.assigned) < MOST_STREAMS]
        return max(with_room, key=lambda each: (each.started, len(each.assigned)), default=None)

    def problem(self, node: str) -> str:
        """Why no process starts on ``node``; empty where that is not so."""
        fault = self._faults.get(node)
        return "" if fault is None else f"its process does not start: {fault.why.strip().splitlines()[-1]}"

    def answers(self) -> bool:
        """Take the answers that have come. Returns whether processes were lost, which the head then has forgotten."""
        pending = {each.pending: each for each in self._hosts.values() if each.pending is not None}
        if pending:
            for reference in self._ray.wait(list(pending), num_returns=len(pending), timeout=0)[0]:
                pending[reference].answered(self._ray)
        lost = [each for each in self._hosts.values() if each.lost]
        for host in lost:
            logger.warning("%s is lost: %s", host.name, host.lost.splitlines()[0])
            self._forget(host)
            if host.started:
                self._faults.pop(host.node, None)
            else:
                self._faults.setdefault(host.node, _Fault()).again(host.lost)
        return bool(lost)

    def go_on(self, cluster: ClusterState, *, wanted: bool) -> None:
        """Have spare room on each node, if streams are ``wanted``, and tell all processes what to do."""
        fit = {each.id for each in cluster.nodes if each.cores > 0} - cluster.draining if wanted else set()
        for node in fit:
            fault = self._faults.get(node)
            if _free(self._of(node)) < SPARE_STREAMS and (fault is None or time.monotonic() >= fault.due):
                self._start(node)
        for host in list(self._hosts.values()):
            others = [each for each in self._of(host.node) if each is not host]
            needed = host.node in fit and _free(others) < SPARE_STREAMS
            if not (host.assigned or host.reports or needed):
                self._forget(host)
            else:
                host.go_on()

    def end(self) -> None:
        """End all of them, whatever they do."""
        for host in list(self._hosts.values()):
            self._forget(host)

    def _of(self, node: str) -> Sequence[Host]:
        return [each for each in self._hosts.values() if each.node == node]

    def _start(self, node: str) -> None:
        name = f"{self._fleet}: process {uuid.uuid4().hex[:12]}"
        self._store.keep_host(name, node)
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        made = self._actors.options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",  # it outlives the supervisor
            max_restarts=0,
            num_cpus=0,  # its streams have reserved what they need
            scheduling_strategy=strategy,
        )
        self._hosts[name] = Host(name, node, made.remote(self._fleet, name, self._folder))

    def _found(self, name: str) -> Any:
        try:
            return self._ray.get_actor(name, namespace=NAMESPACE)
        except ValueError:
            return None

    def _forget(self, host: Host) -> None:
        self._store.forget_host(host.name)
        if not host.lost:
            self._ray.kill(host.actor)
        del self._hosts[host.name]


def _free(hosts: Iterable[Host]) -> int:
    return sum(MOST_STREAMS - len(each.assigned) for each in hosts)
