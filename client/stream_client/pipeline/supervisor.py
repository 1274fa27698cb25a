"""A run from its start to its summary: opens everything, waits for the threads, closes everything."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kserve_wire.malloc import keep_frame_memory
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Result, StreamInfo
from stream_client.monitoring.connections import Connections, ConnectionSummary
from stream_client.monitoring.events import EventsSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.observer import Observers
from stream_client.monitoring.summary import Summary
from stream_client.pipeline.assembly import open_run
from stream_client.pipeline.latency_budget import LatencyBudget
from stream_client.pipeline.plan import Callbacks, Plan
from stream_client.pipeline.reader import Reader
from stream_client.pipeline.run import Run
from stream_client.replicas.snapshot import ReplicaSnapshot
from stream_client.util.events import Event


@dataclass(frozen=True, slots=True)
class RunEvents:
    """What others may wait for: the start, each result, a stop for whatever reason, and the end with its summary."""

    started: Event[[StreamInfo]] = field(default_factory=Event)
    resulted: Event[[Result]] = field(default_factory=Event)
    stopping: Event[[]] = field(default_factory=Event)
    stopped: Event[[Summary]] = field(default_factory=Event)


class Supervisor:
    """Owns a run and the thread that waits for its end. Runs once."""

    def __init__(self, plan: Plan, events: RunEvents) -> None:
        self._plan = plan
        self._events = events
        self._connections = Connections()
        options = plan.options
        seconds = options.latency_budget
        self._budget = None if seconds is None else LatencyBudget(seconds, options.max_side)
        own = [each for each in (plan.tracer, self._budget) if each is not None]
        self._observer = Observers([self._connections, *plan.observers, *own])
        self._reader: Reader | None = None
        self._run: Run | None = None
        self._lock = threading.Lock()
        self._error: StreamClientError | None = None
        self._stop_requested = threading.Event()
        self._over = threading.Event()
        self._began = self._ended = 0.0
        self._summary: Summary | None = None

    @property
    def started(self) -> bool:
        """Whether :meth:`start` was called."""
        return self._reader is not None

    @property
    def opened(self) -> bool:
        """Whether source, server and sinks are open, or were."""
        return self._run is not None

    @property
    def stopping(self) -> bool:
        """Whether the run ends, or has ended."""
        return self._stop_requested.is_set()

    @property
    def connections(self) -> Mapping[str, ConnectionSummary]:
        """The states of source, server and publishing sinks now."""
        return self._connections.snapshot()

    @property
    def replicas(self) -> Sequence[ReplicaSnapshot]:
        """The replicas of the server now; none where there is one server."""
        return self._plan.server.replicas()

    @property
    def summary(self) -> Summary | None:
        """How the run ended, or ``None`` before its end."""
        return self._summary

    def start(self) -> None:
        """Open everything and begin; returns once the run is under way. Raises what cannot be opened."""
        if self._reader is not None:
            raise ConfigurationError("a StreamClient runs once: make another one")
        keep_frame_memory()
        try:
            run = self._run = self._open()
            if self._stop_requested.is_set():
                run.stop()
            self._events.started(run.info)
        except BaseException as error:
            if self._run is not None:
                self._run.stop()
                self._run.join()
            self._shut_down(error if isinstance(error, StreamClientError) else None)
            raise
        self._began = self._ended = time.monotonic()
        run.start()
        threading.Thread(target=self._supervise, args=(run,), name="supervisor").start()

    def wait(self) -> Summary:
        """Wait for the end; raises what ended the run, if it was not its source, a limit or a stop."""
        # The system may hand a signal to another thread, which does not wake this one: Python runs its handler
        # only when this thread comes around.
        while not self._over.wait(0.2):
            pass
        if self._error is not None:
            raise self._error
        assert self._summary is not None
        return self._summary

    def stop(self) -> None:
        """End the run: nothing more is read, answers in flight are waited for shortly. Returns at once."""
        self._stop_requested.set()
        reader, run = self._reader, self._run
        if run is not None:
            run.stop()
        elif reader is not None:
            reader.stop()
            self._plan.server.interrupt()
        self._events.stopping()

    def pause(self) -> None:
        """Offer no frame until :meth:`resume`. Before the start it does nothing."""
        if self._reader is not None:
            self._reader.pause()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        if self._reader is not None:
            self._reader.resume()

    def finish(self) -> None:
        """Read nothing more; what was read is still sent and answered. Returns at once."""
        if self._reader is not None:
            self._reader.stop()

    def close(self) -> None:
        """Stop a run that was started, and wait for its end."""
        if self._reader is not None:
            self.stop()
            self._over.wait()

    def _open(self) -> Run:
        plan = self._plan
        plan.server.launch()
        self._reader = reader = Reader(
            plan.source,
            self._observer,
            self._fail,
            limit_frames=plan.options.limit_frames,
            max_fps=plan.options.enforce_fps,
            budget=self._budget,
        )
        if self._stop_requested.is_set():
            reader.stop()
            plan.server.interrupt()
        callbacks = Callbacks(on_result=self._events.resulted, on_error=self._fail, on_sink_ended=self._sink_ended)
        return open_run(plan, reader, self._observer, callbacks, self._budget)

    def _fail(self, error: StreamClientError) -> None:
        """A part of the run failed; called from any of its threads."""
        with self._lock:
            if self._error is None:
                self._error = error
        self.stop()

    def _sink_ended(self, error: StreamClientError | None) -> None:
        if error is None:
            self.stop()
        else:
            self._fail(error)

    def _supervise(self, run: Run) -> None:
        run.join()
        self._ended = time.monotonic()
        self._shut_down(None)

    def _shut_down(self, error: StreamClientError | None) -> None:
        """Close what is left, check the ledger, wake everyone who waits."""
        run = self._run
        self._plan.server.close()
        if self._plan.tracer is not None:
            self._plan.tracer.close()
        self._error = self._error or error
        ledger = run.ledger if run is not None else LedgerSnapshot()
        self._summary = Summary(
            ledger=ledger,
            info=run.info if run is not None else None,
            servable=run.session.servable if run is not None else None,
            last_failure=run.last_failure if run is not None else None,
            started=self._began,
            seconds=self._ended - self._began,
            connections=self._connections.snapshot(),
            upload_rate=run.session.transport.upload_rate if run is not None else None,
            outputs=run.outputs() if run is not None else {},
            events=run.events() if run is not None else EventsSnapshot(),
            budget=self._budget.snapshot() if self._budget is not None and run is not None else None,
        )
        self._stop_requested.set()
        try:
            if run is not None:
                ledger.check()
            self._events.stopped(self._summary)
        except StreamClientError as failure:
            self._error = self._error or failure
        except Exception as failure:  # noqa: BLE001 - raised by wait(), in the owner's thread
            self._error = self._error or StreamClientError(f"an on_stop callback failed: {failure}")
        finally:
            self._events.stopping()
            self._over.set()
