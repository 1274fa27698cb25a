"""One stream of a fleet: a run that is started again whenever it fails."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from stream_client.client import StreamClient
from stream_client.controlled_run import ControlledRun, State
from stream_client.errors import StreamClientError
from stream_client.fleet.newest import Newest
from stream_client.fleet.plan import StreamPlan
from stream_client.frames import Result
from stream_client.monitoring.connections import ConnectionSummary
from stream_client.monitoring.statistics import NamedStatistics
from stream_client.pipeline.shared_servers import SharedServers
from stream_client.plain_text import one_line
from stream_client.run_settings import make_client
from stream_client.util.backoff import Backoff
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact
from stream_client.util.settings import Settings

logger = logging.getLogger(__name__)

StreamState = State | Literal["waiting"]
"""That of its run; ``waiting`` between a run that failed and the next one."""
Complete = Callable[[Settings], Settings]
"""The settings of a run, with the model server of the fleet where they name none."""
OnResult = Callable[[Result], object]
HISTORY = 50
"""Lines that are kept of a stream."""
_LASTING = 30.0
"""Seconds. A run that lasted so long was no failed start: the next one begins at once."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream now. Counts of frames are those of its newest run.

    ``rate`` is of delivered frames a second, ``latency`` the median in seconds, ``None`` before the first frame.
    ``restarts`` counts failed runs, ``problem`` says why the last one failed. ``label`` is that of the newest frame
    that has one, ``score`` its score in 0…1; ``None`` before.
    ``share`` is its part of its server's recent time for all streams of the process, 0…1, ``None`` if unknown.
    ``waits_for`` is what has not answered yet, or was lost: ``the source``, ``the server``, an output's name; empty if
    nothing.
    """

    name: str
    state: StreamState
    delivered: int
    dropped: int
    failed: int
    rate: float
    latency: float | None
    restarts: int
    problem: str
    label: str | None = None
    score: float | None = None
    share: float | None = None
    waits_for: str = ""


class SupervisedStream:
    """Starts when it is made. A live source, or a run that fails, is started again; a file that ends has ended.

    A ``paused`` one takes no frame before :meth:`resume`. ``on_result`` is called with each result before an output
    gets it. Safe from any thread.
    """

    def __init__(
        self,
        plan: StreamPlan,
        complete: Complete,
        servers: SharedServers,
        *,
        paused: bool = False,
        on_result: OnResult | None = None,
    ) -> None:
        self.plan = plan
        self._servers = servers
        self.statistics = NamedStatistics(plan.name)
        self._on_result = on_result
        self._newest = Newest()
        self._looked_at = False
        self._complete = complete
        self._backoff = Backoff(1.0, 60.0)
        self._history: deque[tuple[float, str]] = deque(maxlen=HISTORY)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._run: ControlledRun | None = None
        self._rest: StreamState = "starting"
        """The state while there is no run."""
        self._paused = paused
        self._stopping = False
        self._restarts = 0
        self._problem = ""
        # Settings that cannot work are refused here, before anything of the stream runs.
        self._first: StreamClient | None = self._made()
        self._thread = OwnedThread(self._work, f"stream {plan.name}")
        self._thread.start()

    @property
    def paused(self) -> bool:
        """Whether it takes no frame, or will take none when it runs."""
        return self._paused

    def pause(self) -> None:
        """Take no frame until :meth:`resume`, also in runs that begin meanwhile."""
        with self._lock:
            self._paused = True
            if self._run is not None:
                self._run.pause()
        self._note("paused")

    def resume(self) -> None:
        """Go on."""
        with self._lock:
            self._paused = False
            if self._run is not None:
                self._run.resume()
        self._note("goes on")

    def look(self, yes: bool) -> None:
        """Have a picture for :meth:`jpeg` from the next frame on, or no longer."""
        with self._lock:
            self._looked_at = yes
            self._newest.look(yes)

    def jpeg(self) -> bytes | None:
        """The newest image; ``None``: there is none, or nobody looks. Takes some milliseconds."""
        return self._newest.jpeg()

    def stop(self) -> None:
        """End it for good. Returns at once."""
        with self._lock:
            self._stopping = True
            if self._run is not None:
                self._run.stop()
        self._wake.set()
        self._thread.expect_end()

    def join(self) -> None:
        """Wait for the end after :meth:`stop`, for a limited time."""
        self._thread.join()

    @property
    def history(self) -> list[tuple[float, str]]:
        """What happened: seconds since 1970, and a line."""
        return list(self._history)

    def status(self) -> StreamStatus:
        """The stream now."""
        snapshot = self.statistics.snapshot()
        ledger, label = snapshot.ledger, self._newest.label
        state = self._state()
        return StreamStatus(
            self.plan.name,
            state,
            ledger.delivered,
            sum(ledger.dropped.values()),
            sum(ledger.failed.values()),
            snapshot.frame_rate,
            snapshot.latency.quantile(0.5),
            self._restarts,
            self._problem,
            None if label is None else label.name,
            None if label is None else label.score,
            snapshot.share,
            _waits_for(state, snapshot.connections),
        )

    def _state(self) -> StreamState:
        with self._lock:
            if self._run is None:
                return self._rest
            # Whether a run that has just ended was the last one is known in a moment.
            return "waiting" if self._run.state in ("ended", "failed") else self._run.state

    def _work(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            if self._run_once():
                self._rest = "stopped" if self._stopping else "ended"
                self._note(self._rest)
                return
            self._restarts += 1
            if time.monotonic() - began > _LASTING:
                self._backoff.reset()
            delay = self._backoff.next()
            self._rest = "waiting"
            self._note(f"{self._problem}; again in {delay:.0f} s")
            self._wake.wait(delay)
        self._rest = "stopped"

    def _run_once(self) -> bool:
        """Whether the stream is over: stopped, or a source with an end has ended well."""
        with self._lock:
            self._run = run = ControlledRun(self._next, lambda info: self._note("runs"), paused=self._paused)
            if self._stopping:
                run.stop()
        run.run()
        with self._lock:
            self._run = None
            self._rest = "waiting"
        problem = run.problem
        if problem is None and run.state == "ended" and run.info is not None and run.info.live:
            problem = StreamClientError("the source has ended")
        self._problem = "" if problem is None else redact(one_line(problem.message))
        return problem is None or self._stopping

    def _next(self) -> StreamClient:
        client, self._first = self._first or self._made(), None
        return client

    def _made(self) -> StreamClient:
        self.statistics = NamedStatistics(self.plan.name)
        newest = Newest()
        with self._lock:
            newest.look(self._looked_at)
            self._newest = newest
        observers = (self.statistics, newest)
        client = make_client(self._complete(self.plan.settings), observers=observers, servers=self._servers)
        if self._on_result is not None:
            client.on_result(self._on_result)
        return client

    def _note(self, text: str) -> None:
        self._history.append((time.time(), text))
        logger.info("%s: %s", self.plan.name, text)


def _waits_for(state: StreamState, connections: Mapping[str, ConnectionSummary]) -> str:
    if state not in ("starting", "running", "paused"):
        return ""
    away = [name for name, connection in connections.items() if connection.state in ("connecting", "lost")]
    if not away and state == "starting" and "source" in connections:
        away = ["server"]  # the source is open, and the server is asked what it serves
    return ", ".join(f"the {name}" if name in ("source", "server") else redact(name) for name in away)
