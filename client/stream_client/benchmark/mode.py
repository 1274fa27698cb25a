"""Benchmark mode of a run: observers, end and report."""

import sys
from collections.abc import Callable
from pathlib import Path

from stream_client.benchmark.recorder import Recorder
from stream_client.benchmark.report import Setup, make_report, report_json, report_table, write_report
from stream_client.compat.demo_line import DemoTotals
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.summary import Summary


class Benchmark:
    """Observers for one run, and its report after it. ``on_stable`` ends the run; it must not wait."""

    def __init__(self, settings: Setup, on_stable: Callable[[], None], report: Path | None = None) -> None:
        self._settings = settings
        self._path = report
        self._totals = DemoTotals()
        self._recorder = Recorder(
            warmup_frames=settings.warmup_frames, window=settings.benchmark_window, on_stable=on_stable
        )
        self.observers: tuple[Observer, ...] = (self._totals, self._recorder)

    def finish(self, summary: Summary) -> None:
        """Print the table to standard error and the demo's line to standard output; write the files."""
        report = make_report(summary, self._settings, self._recorder.measurement())
        print(report_table(report), file=sys.stderr, flush=True)
        print(self._totals.line(summary), flush=True)
        if self._path is not None:
            write_report(self._path, report_json(report), [report])
