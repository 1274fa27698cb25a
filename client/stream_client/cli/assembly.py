"""Makes a run's parts from its flags. Raises :class:`.ConfigurationError` for flags that contradict each other.

Modules that few runs need are imported where they are used, so that a run starts sooner.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from stream_client import run_settings
from stream_client.benchmark.options import BenchmarkOptions
from stream_client.client import StreamClient
from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.options import MetricsOptions
from stream_client.monitoring.statistics import Statistics
from stream_client.options import RunOptions
from stream_client.run_files import check_files, files_written
from stream_client.sinks.base import Sink
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.util.settings import Settings, read

if TYPE_CHECKING:
    from stream_client.benchmark.mode import Benchmark


def make_benchmark(flags: argparse.Namespace, end: Callable[[], None]) -> "Benchmark | None":
    """Benchmark mode, if requested. It calls ``end`` when it has measured enough."""
    options = read(BenchmarkOptions, vars(flags))
    if not flags.benchmark:
        if options.report is not None or options.benchmark_until is not None:
            raise ConfigurationError("--report and --benchmark_until need --benchmark")
        return None
    from stream_client.benchmark.mode import Benchmark
    from stream_client.benchmark.report import Setup

    writes = bool(files_written(vars(flags)) or flags.report)
    until_end = (options.benchmark_until or ("end" if writes else "stable")) == "end"
    window = read(RunOptions, vars(flags)).max_inflight
    settings = Setup(flags.api, window, options.warmup_frames, options.benchmark_window)
    return Benchmark(settings, (lambda: None) if until_end else end, options.report)


def make_monitor(flags: argparse.Namespace, statistics: Statistics) -> AbstractContextManager[object]:
    """The exporter of metrics. Prints its URL to standard error."""
    options = read(MetricsOptions, vars(flags))
    if options.metrics_port is None and options.pushgateway is None:
        return nullcontext()
    from stream_client.monitoring.prometheus import Monitor

    monitor = Monitor(statistics, options)
    if monitor.url is not None:
        print(f"metrics: {monitor.url}", file=sys.stderr, flush=True)
    return monitor


def make_client(
    flags: argparse.Namespace, observers: Sequence[Observer], server: EmbeddedServer | None
) -> StreamClient:
    """The client with its source, sinks and server; nothing is opened yet."""
    report = [] if flags.report is None else [("report", flags.report)]
    check_files(vars(flags), report)
    sinks: list[Sink] = []
    if flags.dry_run:
        from stream_client.training.buffer import dry_run

        sinks.append(dry_run())
    given = given_by(flags)
    written = flags.output_stream or files_written(given) or flags.events or flags.collect
    if not (sinks or written or flags.benchmark):
        raise ConfigurationError("nothing to do with the results: name an --output_stream, screen for instance")
    return run_settings.make_client(given, observers=observers, server=server, sinks=sinks)


def given_by(flags: argparse.Namespace) -> Settings:
    """The run's settings. ``--dry_run`` needs landmarks."""
    given = dict(vars(flags))
    if flags.dry_run and flags.model_name is None:
        given["model_name"] = LANDMARK_GRAPH
    return given
