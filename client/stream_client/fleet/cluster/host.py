"""A process on some node that runs streams of a fleet: an actor."""

import os
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.fleet.cluster.lease import Lease
from stream_client.fleet.cluster.served import names_no_server, with_server
from stream_client.fleet.cluster.store import Store
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.supervised import StreamStatus
from stream_client.monitoring.statistics import StatisticsSnapshot
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact
from stream_client.util.settings import Settings

_LOOK_SECONDS = 0.5
_MEASURED_SECONDS = 5.0
"""The cost of a process is that of the last such time."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A stream that a process shall run, as its placement ``epoch``."""

    plan: StreamPlan
    epoch: int
    paused: bool


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A stream of a process now. ``cores`` is the processor time it takes, in seconds a second; ``memory`` in bytes.

    Both are its part of the process's: by frames, and an equal one. ``status`` is ``None`` before it runs, and where it
    cannot; ``problem`` then says why, or ``waits_for`` for what it waits. ``picture`` is its newest image, as JPEG,
    while somebody looks.
    """

    plan: StreamPlan
    status: StreamStatus | None
    statistics: StatisticsSnapshot | None
    cores: float | None
    memory: int
    problem: str
    waits_for: str
    picture: bytes | None


class StreamHost:
    """Runs what it is told to. ``name`` is that of this process in the :class:`.Store`, ``folder`` its own."""

    def __init__(self, fleet: str, name: str, folder: str) -> None:
        import ray

        os.chdir(folder)
        self._node = str(ray.get_runtime_context().get_node_id())
        self._store = Store(fleet)
        self._lease = Lease(lambda: self._store.holds(name))
        self._fleet = Fleet(self._complete)
        self._cost = Cost()
        self._placements: dict[str, _Placement] = {}
        self._served: Settings = {}
        """What a stream's settings get that names no server."""

    def work(self, assigned: Sequence[Assigned], looked: Collection[str]) -> Sequence[StreamReport]:
        """Run these streams, and end others. Returns what is there now, with pictures of those ``looked`` at.

        The outputs of a stream that is no longer there are finished.
        """
        wanted = {each.plan.name: each for each in assigned}
        for name, placement in list(self._placements.items()):
            if name not in wanted or wanted[name].epoch != placement.epoch:
                placement.end()
                if placement.is_over:
                    del self._placements[name]
        for name, each in wanted.items():
            if name not in self._placements:
                self._placements[name] = _Placement(each, self._fleet, self._lease, self._store)
            self._placements[name].pause(each.paused)
        self._fleet.look(looked)
        return self._reports()

    def _reports(self) -> Sequence[StreamReport]:
        running = {each.name: each for each in self._fleet.status()}
        measured = [each.snapshot() for each in self._fleet.statistics() if each.running]
        statistics = {each.stream: each for each in measured}
        pictures = self._fleet.pictures()
        frames = sum(each.rate for each in running.values())
        cores = self._cost.cores() if frames else None
        memory = _memory() // max(1, len(self._placements))
        found = []
        for name, placement in self._placements.items():
            status = running.get(name)
            part = None
            if cores is not None and status is not None and status.delivered:
                part = cores * status.rate / frames
            found.append(
                StreamReport(
                    *(placement.given, status, statistics.get(name), part, memory),
                    problem=placement.problem,
                    waits_for=placement.waits_for,
                    picture=pictures.get(name),
                )
            )
        return found

    def _complete(self, settings: Settings) -> Settings:
        """With the server of this node, or those of all others, as they are when a run begins."""
        if not names_no_server(settings):
            return settings
        servers = self._store.servers()
        if servers:
            self._served = with_server(settings, servers, self._node)
        return {**settings, **self._served}


class _Placement:
    """A stream from its first moment in this process to its last, in a thread of its own: none waits for another."""

    def __init__(self, assigned: Assigned, fleet: Fleet, lease: Lease, store: Store) -> None:
        self.epoch = assigned.epoch
        self.problem = self.waits_for = ""
        self.given = plan = assigned.plan
        self._plan = replace(plan, settings=_filled(plan.settings, assigned.epoch))
        self._fleet = fleet
        self._lease = lease
        self._store = store
        self._lock = threading.Lock()
        self._paused = assigned.paused
        self._runs = False
        self._ending = threading.Event()
        self._thread = OwnedThread(self._live, f"placement of {plan.name}")
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def end(self) -> None:
        """Ask it to end. Returns at once."""
        self._ending.set()

    def pause(self, paused: bool) -> None:
        """Let it take no frame, or let it go on."""
        with self._lock:
            if paused != self._paused and self._runs:
                (self._fleet.pause if paused else self._fleet.resume)(self._plan.name)
            self._paused = paused

    def _live(self) -> None:
        while names_no_server(self._plan.settings) and not self._store.servers():
            self.waits_for = "a graph server"
            if self._ending.wait(_LOOK_SECONDS):
                return
        self.waits_for = ""
        with self._lock:
            try:
                self._fleet.add(self._plan, paused=self._paused, on_result=lambda _: self._lease.check(self._ending))
                self._runs = True
            except ConfigurationError as error:
                self.problem = redact(error.message)
        self._ending.wait()
        with self._lock:
            runs, self._runs = self._runs, False
        if runs:
            self._fleet.remove(self._plan.name)


class Cost:
    """The processor time of this process. For one thread."""

    def __init__(self) -> None:
        self._since = time.monotonic(), time.process_time()
        self._cores: float | None = None

    def cores(self) -> float | None:
        """Seconds a second, of a time that was long enough; ``None`` before that."""
        began, used = self._since
        now = time.monotonic(), time.process_time()
        if now[0] - began >= _MEASURED_SECONDS:
            self._cores = (now[1] - used) / (now[0] - began)
            self._since = now
        return self._cores


def _filled(settings: Settings, epoch: int) -> Settings:
    """``{epoch}`` in a text is the number of the placement, so that the files of the one before stay."""

    def fill(value: object) -> object:
        if isinstance(value, str):
            return value.replace("{epoch}", str(epoch))
        return [fill(each) for each in value] if isinstance(value, list) else value

    return {name: fill(value) for name, value in settings.items()}


def _memory() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
