"""From flags to what they ask for; each raises :class:`ConfigurationError` for flags that contradict each other."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stream_client.benchmark.mode import Benchmark
from stream_client.benchmark.report import Settings
from stream_client.classify.factory import open_classifier
from stream_client.classify.pose_classifier import PoseClassifier
from stream_client.client import StreamClient
from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.prometheus import Monitor
from stream_client.monitoring.statistics import Statistics
from stream_client.options import RunOptions
from stream_client.processing.labels import read_label_names
from stream_client.processing.results import label_on_image
from stream_client.sinks.base import Sink
from stream_client.sinks.factory import SinkOptions, open_sink
from stream_client.sinks.label_changes import LabelChangesSink
from stream_client.sinks.labels import LabelsSink
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sources.factory import SourceOptions, open_source
from stream_client.training.buffer import dry_run
from stream_client.transport.channel import TlsOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.transport.session import TransportOptions


def make_benchmark(flags: argparse.Namespace, end: Callable[[], None]) -> Benchmark | None:
    """Benchmark mode, where it is asked for; it calls ``end`` once it has seen enough."""
    if not flags.benchmark:
        if flags.report is not None or flags.benchmark_until is not None:
            raise ConfigurationError("--report and --benchmark_until need --benchmark")
        return None
    until_end = (flags.benchmark_until or ("end" if _written(flags) else "stable")) == "end"
    window = run_options(flags).max_inflight
    settings = Settings(flags.api, window, flags.warmup_frames, flags.benchmark_window)
    return Benchmark(settings, (lambda: None) if until_end else end, flags.report)


def make_monitor(flags: argparse.Namespace, tally: Statistics) -> Monitor:
    """What exports metrics; says where, on standard error."""
    monitor = Monitor(tally, port=flags.metrics_port, address=flags.metrics_address, pushgateway=flags.pushgateway)
    if monitor.url is not None:
        print(f"metrics: {monitor.url}", file=sys.stderr, flush=True)
    return monitor


def _written(flags: argparse.Namespace) -> list[tuple[str, Path]]:
    """The files that the run writes, each with its flag."""
    videos = [spec for spec in flags.output_stream if spec not in ("none", "screen") and "://" not in spec]
    named = [("--output_stream", spec) for spec in videos]
    for flag in ("labels_output", "label_changes_output", "landmarks_output", "report"):
        named.append((f"--{flag}", getattr(flags, flag)))
    return [(flag, Path(name)) for flag, name in named if name is not None]


def _check_files(flags: argparse.Namespace) -> None:
    """No file is written by two outputs, and none that is read."""
    users = {Path(flags.input_stream).resolve(): "--input_stream"}
    for flag, path in _written(flags):
        if path.is_file() or not path.exists():  # /dev/null takes any number
            if path.resolve() in users:
                raise ConfigurationError(f"{path} is named twice, by {users[path.resolve()]} and {flag}")
            users[path.resolve()] = flag


def make_client(
    flags: argparse.Namespace, observers: Sequence[Observer], server: EmbeddedServer | None
) -> StreamClient:
    """The client with its source, sinks and server; nothing is opened yet."""
    _check_files(flags)
    source = open_source(flags.input_stream, source_options(flags))
    sinks: list[Sink] = [open_sink(spec, sink_options(flags)) for spec in flags.output_stream]
    if flags.labels_output is not None:
        sinks.append(LabelsSink(flags.labels_output))
    if flags.label_changes_output is not None:
        sinks.append(LabelChangesSink(flags.label_changes_output))
    if flags.landmarks_output is not None:
        sinks.append(LandmarksSink(flags.landmarks_output))
    if flags.dry_run:
        sinks.append(dry_run())
    label_names = read_label_names(flags.labels) if flags.labels else None
    classifier = _classifier(flags, label_names)
    if not sinks and not flags.benchmark:
        raise ConfigurationError("nothing to do with the results: name an --output_stream, screen for instance")
    return StreamClient(
        source,
        sinks,
        run_transport(flags),
        options=run_options(flags),
        embedded=server,
        label_names=label_names,
        output_name=flags.output_name,
        label_output_name=flags.label_output_name,
        postprocess=(lambda result: result.image) if flags.no_label_text else label_on_image,
        observers=observers,
        classifier=classifier,
    )


def sink_options(flags: argparse.Namespace) -> SinkOptions:
    """How to write videos, as the flags say."""
    return SinkOptions(quality=flags.quality, encoder=flags.encoder, reconnect_timeout=flags.reconnect_timeout)


def source_options(flags: argparse.Namespace) -> SourceOptions:
    """How to open the source, as the flags say."""
    return SourceOptions(
        realtime=flags.realtime,
        loop=flags.loop,
        camera_width=flags.camera_width,
        camera_height=flags.camera_height,
        camera_fps=flags.camera_fps,
        rtsp_transport=flags.rtsp_transport,
        source_timeout=flags.source_timeout,
        reconnect_timeout=flags.reconnect_timeout,
    )


def _classifier(flags: argparse.Namespace, labels: Sequence[str] | None) -> PoseClassifier | None:
    if flags.classifier is None:
        if flags.classifier_schema or flags.allow_pickle or flags.count_repetitions:
            raise ConfigurationError("--classifier_schema, --allow_pickle and --count_repetitions need --classifier")
        return None
    return open_classifier(
        flags.classifier,
        labels=labels,
        schema=flags.classifier_schema,
        allow_pickle=flags.allow_pickle,
        count=flags.count_repetitions,
    )


def _needs_landmarks(flags: argparse.Namespace) -> bool:
    return bool(flags.classifier or flags.landmarks_output or flags.dry_run)


def run_transport(flags: argparse.Namespace) -> TransportOptions:
    """How a run with these flags reaches its servable: landmarks need the graph that gives them."""
    options = transport_options(flags)
    if options.model_name is None and _needs_landmarks(flags):
        return replace(options, model_name=LANDMARK_GRAPH)
    return options


def transport_options(flags: argparse.Namespace) -> TransportOptions:
    """How to reach the server, as the flags say; raises :class:`ConfigurationError`."""
    tls = None
    if flags.tls:
        tls = TlsOptions(flags.tls_ca, flags.tls_cert, flags.tls_key)
    elif flags.tls_ca or flags.tls_cert or flags.tls_key:
        raise ConfigurationError("--tls_ca, --tls_cert and --tls_key need --tls")
    embedded = flags.grpc_address == "embedded"
    if embedded and tls is not None:
        raise ConfigurationError("the embedded server is on loopback and has no TLS: leave --tls out")
    if not embedded and (flags.models_dir or flags.config_path):
        raise ConfigurationError("--models_dir and --config_path are for the embedded server only")
    options = TransportOptions(
        "embedded" if embedded else flags.grpc_address,
        api=flags.api,
        model_name=flags.model_name,
        input_name=flags.input_name,
        input_layout=flags.input_layout,
        input_dtype=flags.input_dtype.upper() if flags.input_dtype else None,
        tls=tls,
        connect_timeout=flags.connect_timeout,
        request_timeout=flags.request_timeout,
        shared_memory=not flags.no_shared_memory,
    )
    if not embedded:
        _ = options.channel  # a malformed address is a usage error
    return options


def run_options(flags: argparse.Namespace) -> RunOptions:
    """Limits and policies of the run."""
    try:
        window = "auto" if flags.max_inflight == "auto" else int(flags.max_inflight)
    except ValueError:
        raise ConfigurationError(
            f"{flags.max_inflight!r} is not a number of frames, nor auto", option="max_inflight"
        ) from None
    if flags.latency_target is not None and window != "auto":
        raise ConfigurationError("--latency_target needs --max_inflight auto")
    return RunOptions(
        max_inflight=window,  # type: ignore[arg-type]
        latency_target=None if flags.latency_target is None else flags.latency_target / 1000,
        drop_policy=flags.drop_policy,
        request_timeout=flags.request_timeout,
        join_timeout=flags.join_timeout,
        limit_frames=flags.limit_frames,
        limit_stream_duration=flags.limit_stream_duration,
        enforce_fps=flags.enforce_fps,
        on_server_loss=flags.on_server_loss,
        reconnect_timeout=flags.reconnect_timeout,
        max_side=flags.max_side,
    )
