"""A benchmark's report as a table, as JSON, and as CSV with perf_analyzer's columns."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from stream_client.benchmark.environment import environment, peak_memory
from stream_client.benchmark.recorder import Measurement
from stream_client.errors import ConfigurationError
from stream_client.monitoring.distribution import Distribution
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.summary import Summary
from stream_client.util.table import table

CSV_COLUMNS = (
    "Concurrency",
    "Inferences/Second",
    "Client Send",
    "Network+Server Send/Recv",
    "Server Queue",
    "Server Compute Input",
    "Server Compute Infer",
    "Server Compute Output",
    "Client Recv",
    "p50 latency",
    "p90 latency",
    "p95 latency",
    "p99 latency",
)
"""perf_analyzer's, in its order; all but the first two in microseconds."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the run was set up. ``max_inflight`` is a number or ``"auto"``."""

    api: str
    max_inflight: int | str
    warmup_frames: int
    benchmark_window: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a report contains. ``peak_memory`` is in bytes; sizes are in pixels."""

    time: str
    environment: dict[str, object]
    model: str
    source: str
    width: int
    height: int
    settings: Setup
    outcomes: LedgerSnapshot
    measurement: Measurement
    peak_memory: int


def make_report(summary: Summary, settings: Setup, measurement: Measurement) -> Report:
    """The report of the run that ended with ``summary``."""
    info = summary.info
    return Report(
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        environment=environment(),
        model=summary.servable.name if summary.servable else "",
        source=info.name if info else "",
        width=info.width if info else 0,
        height=info.height if info else 0,
        settings=settings,
        outcomes=summary.ledger,
        measurement=measurement,
        peak_memory=peak_memory(),
    )


def report_table(report: Report) -> str:
    """For people; times in milliseconds."""
    measured = report.measurement
    settings = report.settings
    head = f"{report.model}, {report.width}x{report.height}, {settings.api}, {settings.max_inflight} in flight"
    if not measured.frames:
        return (
            f"{head}: nothing was measured, {report.outcomes.delivered} results came and the first "
            f"{settings.warmup_frames} are warm-up: lower warmup_frames, or run longer"
        )
    how = "stable" if measured.stable else "not stable yet at the end of the run"
    seconds = measured.seconds
    lines = [
        head,
        f"{measured.throughput:.1f} frames/s over {seconds:.1f} s, {measured.frames} frames ({how}; "
        f"{settings.warmup_frames} frames of warm-up left out)",
        f"client: {100 * measured.cpu_seconds / seconds if seconds else 0:.0f} % of a core, "
        f"{1000 * measured.cpu_seconds / measured.frames:.1f} ms CPU a frame, "
        f"{report.peak_memory / 2**20:.0f} MiB at most; {measured.mean_in_flight:.1f} frames in flight on average",
        f"all frames, warm-up included: {report.outcomes.line()}",
        "",
    ]
    rows = [_row(stage, values) for stage, values in measured.stages.items()]
    if measured.latency is not None and measured.request is not None:
        rows += [_row("= latency", measured.latency), _row("request", measured.request)]
    rows += [_row(f"sink {name}", values) for name, values in measured.sinks.items()]
    return "\n".join([*lines, table(("milliseconds", "mean", "p50", "p90", "p95", "p99", "max"), rows)])


def report_json(report: Report) -> dict[str, object]:
    """For programs: names as in the classes, times in seconds."""
    values = asdict(report)
    values["measurement"]["throughput"] = report.measurement.throughput
    return values


def report_csv(reports: Sequence[Report]) -> str:
    """One line a run. Columns that only the server knows stay empty. The network's column has its time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for report in reports:
        measured, request = report.measurement, report.measurement.request
        if request is None:
            continue
        concurrency = report.settings.max_inflight
        writer.writerow(
            [
                round(measured.mean_in_flight) if concurrency == "auto" else concurrency,
                f"{measured.throughput:.3f}",
                _microseconds(measured.stages["serialise"].mean),
                _microseconds(measured.stages["round_trip"].mean),
                *("", "", "", ""),
                _microseconds(measured.stages["deserialise"].mean),
                *map(_microseconds, (request.p50, request.p90, request.p95, request.p99)),
            ]
        )
    return text.getvalue()


def write_report(path: Path, values: object, reports: Sequence[Report]) -> None:
    """``values`` as JSON to ``path``, and the CSV beside it; raises :class:`.ConfigurationError`."""
    for file, text in ((path, json.dumps(values, indent=2) + "\n"), (path.with_suffix(".csv"), report_csv(reports))):
        try:
            file.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {file}: {error.strerror}", option="report") from error


def _microseconds(seconds: float) -> str:
    return str(round(1e6 * seconds))


def _row(name: str, seconds: Distribution) -> tuple[str, ...]:
    in_ms = seconds.times(1000)
    columns = (in_ms.mean, in_ms.p50, in_ms.p90, in_ms.p95, in_ms.p99, in_ms.maximum)
    return name, *(f"{value:.2f}" for value in columns)
