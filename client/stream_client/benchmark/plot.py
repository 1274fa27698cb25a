"""The plot of a sweep: throughput against latency."""

import importlib.util
import itertools
from collections.abc import Sequence
from pathlib import Path

from stream_client.benchmark.sweep import Outcome
from stream_client.errors import ConfigurationError
from stream_client.util.extras import install_command


def check_plot(path: Path) -> None:
    """Raise :class:`.ConfigurationError` unless :func:`draw` can write ``path``; call it before the work."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigurationError(
            f"a plot needs matplotlib, which is not installed: {install_command('bench')}, or leave it out",
            option="plot",
        )
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ConfigurationError(f"{path}: a plot is a .png, .svg or .pdf file", option="plot")
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent} to write {path.name} into", option="plot")


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """A line for each API and size, a dot for each window: p50 of a request, with a whisker up to p99."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for (api, width, height), group in itertools.groupby(outcomes, key=_line):
        measured = [
            (report.measurement.throughput, report.measurement.request.times(1000), outcome.point.max_inflight)
            for outcome in group
            if (report := outcome.report) is not None and report.measurement.request is not None
        ]
        if not measured:
            continue
        rates, medians = [rate for rate, _, _ in measured], [request.p50 for _, request, _ in measured]
        upper = [request.p99 - request.p50 for _, request, _ in measured]
        axes.errorbar(
            rates, medians, yerr=([0.0] * len(upper), upper), marker="o", capsize=3, label=f"{api}, {width}x{height}"
        )
        for rate, request, window in measured:
            axes.annotate(str(window), (rate, request.p50), textcoords="offset points", xytext=(5, -11), fontsize=8)
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    axes.set_title(f"{reports[0].model} on {reports[0].environment['cpu']}" if reports else "nothing was measured")
    axes.set_xlabel("frames a second")
    axes.set_ylabel("request, p50 to p99 (ms); numbers: frames in flight")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if reports:
        axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", option="plot") from error


def _line(outcome: Outcome) -> tuple[str, int, int]:
    return outcome.point.api, outcome.point.width, outcome.point.height
