"""One placement of a stream: an actor, a process of its own on some node."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.fleet.cluster.lease import LEASE_SECONDS, Lease
from stream_client.fleet.cluster.served import names_no_server, with_server
from stream_client.fleet.cluster.store import Store
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.supervised import StreamStatus
from stream_client.monitoring.statistics import StatisticsSnapshot
from stream_client.run_settings import Settings
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact

_LOOK_SECONDS = 0.5
_MEASURED_SECONDS = 5.0
"""The cost of a stream is that of the last such time."""


@dataclass(frozen=True, slots=True)
class HostReport:
    """A stream on its node now. ``cores`` is the processor time it takes, in seconds a second; ``memory`` in bytes.

    ``status`` is ``None`` before it runs, and where it cannot; ``problem`` then says why, or ``waits_for`` for what it
    waits. ``picture`` is its newest image, as JPEG, while somebody looks.
    """

    node: str
    plan: StreamPlan
    paused: bool
    status: StreamStatus | None
    statistics: StatisticsSnapshot | None
    cores: float | None
    memory: int
    problem: str
    waits_for: str
    picture: bytes | None


class StreamHost:
    """Runs ``plan`` as placement ``epoch``. ``at_once``: the placement before has said that it is over.

    Else it begins as soon as :meth:`begin` says that this one has run out, and when it must have, without that word.
    """

    def __init__(self, fleet: str, plan: StreamPlan, epoch: int, folder: str, *, at_once: bool, paused: bool) -> None:
        import ray

        os.chdir(folder)
        store = Store(fleet)
        self._node = str(ray.get_runtime_context().get_node_id())
        self._given = plan
        self._plan = StreamPlan(plan.name, _filled(plan.settings, epoch), plan.on)
        self._paused = paused
        self._problem = self._waits_for = ""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._go_on = threading.Event()
        self._lease = Lease(lambda: store.epoch(plan.name), epoch)
        self._fleet = Fleet(self._complete, on_result=self._lease.check)
        self._store = store
        self._served: Settings = {}
        """What a stream's settings get that names no server."""
        self._cost = Cost()
        self._thread = OwnedThread(self._start, f"start of {plan.name}", (0.0 if at_once else LEASE_SECONDS,))
        self._thread.start()

    def report(self, looked_at: bool) -> HostReport:
        """What it does now. ``looked_at``: with a picture from now on."""
        self._fleet.look({self._plan.name} if looked_at else set())
        (status,) = self._fleet.status() or (None,)
        (statistics,) = self._fleet.statistics() or (None,)
        cores = self._cost.cores() if status is not None and status.delivered else None
        snapshot = statistics.snapshot() if statistics is not None and statistics.running else None
        picture = self._fleet.pictures().get(self._plan.name)
        return HostReport(
            *(self._node, self._given, self._paused, status, snapshot, cores, _memory()),
            problem=self._problem,
            waits_for=self._waits_for,
            picture=picture,
        )

    def pause(self, paused: bool) -> None:
        """Let it take no frame, or let it go on."""
        with self._lock:
            self._paused = paused
            if self._fleet.status():
                (self._fleet.pause if paused else self._fleet.resume)(self._plan.name)

    def begin(self) -> None:
        """The placement before delivers no more."""
        self._go_on.set()

    def stop(self) -> None:
        """End the stream; its outputs are finished when this returns."""
        self._stopping.set()
        self._go_on.set()
        self._thread.join()
        self._fleet.__exit__(None, None, None)
        self._lease.close()

    def _start(self, hold: float) -> None:
        self._go_on.wait(hold)  # as long as the placement before may go on without the head
        while not self._stopping.is_set() and names_no_server(self._plan.settings) and not self._store.servers():
            self._waits_for = "a graph server"
            self._stopping.wait(_LOOK_SECONDS)
        if self._stopping.is_set():
            return
        with self._lock:
            self._waits_for = ""
            try:
                self._fleet.add(self._plan, paused=self._paused)
            except ConfigurationError as error:
                self._problem = redact(error.message)

    def _complete(self, settings: Settings) -> Settings:
        """With the server of this node, or those of all others, as they are when a run begins."""
        if not names_no_server(settings):
            return settings
        servers = self._store.servers()
        if servers:
            self._served = with_server(settings, servers, self._node)
        return {**settings, **self._served}


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
