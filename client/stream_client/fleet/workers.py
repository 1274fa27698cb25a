"""Many streams, spread over worker processes. None harms another, and no process the others."""

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from stream_client.errors import ConfigurationError
from stream_client.fleet.messages import Assignment, Reported
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.spread import spread
from stream_client.fleet.supervised import Complete, StreamStatus
from stream_client.fleet.worker_process import WorkerProcess
from stream_client.monitoring.statistics import Measured
from stream_client.run_settings import check_settings


class WorkerFleet:
    """A :class:`~stream_client.fleet.fleet.Fleet` of ``count`` processes. A context manager: at its end all have ended.

    A process that ends, or says nothing for a minute, is replaced, and its streams start again. ``complete`` is as in
    a fleet. For one thread.
    """

    def __init__(self, count: int, complete: Complete = lambda settings: settings) -> None:
        self._complete = complete
        self._plans: dict[str, StreamPlan] = {}
        self._places: dict[str, int] = {}
        self._paused: frozenset[str] = frozenset()
        self._looked: frozenset[str] = frozenset()
        self._workers = [WorkerProcess(number) for number in range(count)]

    def __enter__(self) -> "WorkerFleet":
        return self

    def __exit__(self, *exception: object) -> None:
        until = time.monotonic() + WorkerProcess.END_SECONDS
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(until)

    @property
    def pids(self) -> list[int | None]:
        """The process id of each worker, ``None`` while it has none."""
        return [worker.pid for worker in self._workers]

    def apply(self, plans: Iterable[StreamPlan], paused: Collection[str] | None = None) -> Mapping[str, str]:
        """As :meth:`.Fleet.apply`. A stream stays with its worker; a new one goes to one with the fewest.

        What shows only in the worker, such as a classifier that cannot be loaded, is in :meth:`status`.
        """
        wanted = {plan.name: plan for plan in plans}
        problems = {}
        for name, plan in wanted.items():
            if plan != self._plans.get(name):
                try:
                    check_settings(self._complete(plan.settings))
                except ConfigurationError as error:
                    problems[name] = error.message
        self._plans = {name: plan for name, plan in wanted.items() if name not in problems}
        self._paused = self._paused if paused is None else frozenset(paused)
        self._places = spread(self._places, self._plans, len(self._workers))
        self._assign()
        return problems

    def look(self, names: Collection[str]) -> None:
        """As :meth:`.Fleet.look`."""
        self._looked = frozenset(names)
        self._assign()

    def pictures(self) -> Mapping[str, bytes]:
        """As :meth:`.Fleet.pictures`, half a second old at most."""
        reports = [worker.report for worker in self._workers]
        return {name: jpeg for report in reports for name, jpeg in report.pictures.items() if name in self._looked}

    def _assign(self) -> None:
        level = logging.getLogger().getEffectiveLevel()
        for number, worker in enumerate(self._workers):
            names = [name for name, place in self._places.items() if place == number]
            assigned = [replace(self._plans[name], settings=self._settings(name)) for name in names]
            mine = set(names)
            worker.assign(Assignment(tuple(assigned), self._paused & mine, self._looked & mine, level))

    def status(self) -> list[StreamStatus]:
        """Every stream now, by name."""
        reports = [worker.report for worker in self._workers]
        known = {stream.name: stream for report in reports for stream in report.streams}
        problems = {name: problem for report in reports for name, problem in report.problems.items()}
        return [known.get(name) or _without_run(name, problems.get(name)) for name in sorted(self._plans)]

    def statistics(self) -> Sequence[Measured]:
        """Those of every stream, for its metrics, half a second old at most."""
        return [Reported(each) for worker in self._workers for each in worker.report.statistics]

    def _settings(self, name: str) -> Mapping[str, object]:
        return self._complete(self._plans[name].settings)


def _without_run(name: str, problem: str | None) -> StreamStatus:
    """A stream that its worker does not know yet, or could not start."""
    if problem is not None:
        return StreamStatus(name, "stopped", 0, 0, 0, 0.0, None, 0, problem)
    return StreamStatus(name, "starting", 0, 0, 0, 0.0, None, 0, "", waits_for="its process")
