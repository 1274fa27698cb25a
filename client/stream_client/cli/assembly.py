"""Makes a run's parts from its flags. Raises :class:`.ConfigurationError` for flags that contradict each other.

Modules that few runs need are imported where they are used, so that a run starts sooner.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream_client.benchmark.options import BenchmarkOptions
from stream_client.client import StreamClient
from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.options import MetricsOptions
from stream_client.monitoring.statistics import Statistics
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.processing.labels import read_label_names
from stream_client.processing.results import Detector, LandmarkClassifier, annotated
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.sharing import EncoderPool
from stream_client.sinks.base import Sink
from stream_client.sinks.factory import open_sink
from stream_client.sinks.label_changes import LabelChangesSink
from stream_client.sinks.labels import LabelsSink
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.tracking.options import DetectionOptions
from stream_client.transport.options import EMBEDDED, TlsOptions, TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.util.redact import redact
from stream_client.util.settings import read
from stream_client.util.urls import split_credentials

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

    until_end = (options.benchmark_until or ("end" if _written(flags) else "stable")) == "end"
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
    _check_files(flags)
    given = vars(flags)
    stream, run = read(StreamOptions, given), read(RunOptions, given)
    source = open_source(stream.input_stream, read(SourceOptions, given), reconnect_timeout=run.reconnect_timeout)
    label_names = read_label_names(stream.labels) if stream.labels else None
    return StreamClient(
        source,
        _sinks(flags, stream, run),
        run_transport(flags),
        options=run,
        embedded=server,
        label_names=label_names,
        output_name=stream.output_name,
        label_output_name=stream.label_output_name,
        postprocess=annotated if stream.label_text else (lambda result: result.image),
        observers=observers,
        classifier=_classifier(flags, label_names),
        detector=_detector(flags, label_names),
    )


def run_transport(flags: argparse.Namespace) -> TransportOptions:
    """How a run with these flags reaches its servable: landmarks need the graph that gives them."""
    options = transport_options(flags)
    if options.model_name is None and (flags.classifier or flags.landmarks_output or flags.dry_run):
        return replace(options, model_name=LANDMARK_GRAPH)
    return options


def transport_options(flags: argparse.Namespace) -> TransportOptions:
    """How to reach the server, as the flags say."""
    if not flags.tls and (flags.tls_ca or flags.tls_cert or flags.tls_key):
        raise ConfigurationError("--tls_ca, --tls_cert and --tls_key need --tls")
    if flags.grpc_address != EMBEDDED and (flags.models_dir or flags.config_path):
        raise ConfigurationError("--models_dir and --config_path are for the embedded server only")
    return read(TransportOptions, vars(flags), tls=read(TlsOptions, vars(flags)) if flags.tls else None)


def _sinks(flags: argparse.Namespace, stream: StreamOptions, run: RunOptions) -> list[Sink]:
    options = read(SinkOptions, vars(flags), rtsp_insecure=flags.rtsp_insecure)
    pool = EncoderPool()
    sinks = [
        open_sink(name, options, reconnect_timeout=run.reconnect_timeout, pool=pool) for name in stream.output_stream
    ]
    if stream.labels_output is not None:
        sinks.append(LabelsSink(stream.labels_output))
    if stream.label_changes_output is not None:
        sinks.append(LabelChangesSink(stream.label_changes_output))
    if stream.landmarks_output is not None:
        sinks.append(LandmarksSink(stream.landmarks_output))
    if flags.dry_run:
        from stream_client.training.buffer import dry_run

        sinks.append(dry_run())
    if not sinks and not flags.benchmark:
        raise ConfigurationError("nothing to do with the results: name an --output_stream, screen for instance")
    return sinks


def _classifier(flags: argparse.Namespace, label_names: Sequence[str] | None) -> LandmarkClassifier | None:
    options = read(ClassifierOptions, vars(flags))
    if options.classifier is None:
        return None
    from stream_client.classify.factory import open_classifier

    return open_classifier(options, label_names)


def _detector(flags: argparse.Namespace, label_names: Sequence[str] | None) -> Detector | None:
    options = read(DetectionOptions, vars(flags))
    if options.detections is None:
        if options.tracker != "none":
            raise ConfigurationError("a tracker follows detections: read them", option="detections", value="auto")
        return None
    from stream_client.tracking.reader import DetectionReader, open_tracker

    return DetectionReader(options, class_names=label_names or (), tracker=open_tracker(options.tracker))


def _written(flags: argparse.Namespace) -> list[tuple[str, Path]]:
    """The files that the run writes, each with its flag."""
    videos = [spec for spec in flags.output_stream if spec not in ("none", "screen") and "://" not in spec]
    named = [("--output_stream", spec) for spec in videos]
    for flag in ("labels_output", "label_changes_output", "landmarks_output", "report"):
        named.append((f"--{flag}", getattr(flags, flag)))
    return [(flag, Path(name)) for flag, name in named if name is not None]


def _check_files(flags: argparse.Namespace) -> None:
    """No file or address is written by two outputs, and no file that is read."""
    published: set[str] = set()
    for spec in flags.output_stream:
        address = split_credentials(spec)[0]
        if "://" in spec and address in published:
            raise ConfigurationError(f"{redact(spec)} is named twice, by two of --output_stream")
        published.add(address)
    users = {Path(os.path.realpath(flags.input_stream)): "--input_stream"}
    for flag, path in _written(flags):
        try:
            takes_one = path.is_file() or not path.exists()  # /dev/null takes any number
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror} ({flag})") from error
        if takes_one:
            if path.resolve() in users:
                raise ConfigurationError(f"{path} is named twice, by {users[path.resolve()]} and {flag}")
            users[path.resolve()] = flag
