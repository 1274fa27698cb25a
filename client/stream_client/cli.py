"""The command line: arguments in, one run, one summary line, an exit status."""

import argparse
import importlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from stream_client.benchmark.mode import Benchmark
from stream_client.benchmark.report import Settings
from stream_client.classify.pose_classifier import PoseClassifier
from stream_client.client import StreamClient, Summary
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.labels import read_label_names
from stream_client.live_classifier import open_classifier
from stream_client.metrics import Monitor
from stream_client.observe import Observer
from stream_client.options import RunOptions
from stream_client.progress import Progress
from stream_client.redact import redact
from stream_client.results import LandmarkClassifier, label_on_image
from stream_client.sinks.base import Sink
from stream_client.sinks.factory import SinkOptions, open_sink
from stream_client.sinks.label_changes import LabelChangesSink
from stream_client.sinks.labels import LabelsSink
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.small_frames import shrunk_size
from stream_client.sources.factory import SourceOptions, open_source
from stream_client.tally import Tally
from stream_client.training.buffer import dry_run
from stream_client.transport.channel import TlsOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.transport.session import TransportOptions
from stream_client.verdict import Setting, verdict

_EXAMPLES = """
examples:
  a camera on the screen             --input_stream 0 --output_stream screen
  a file, with pictures and labels   --input_stream in.mp4 --output_stream out.mp4 --labels_output labels.jsonl
  your own OVMS                      --grpc_address host:9000 --input_stream in.mp4 --output_stream out.mp4
  any KServe v2 server               --grpc_address host:9000 --api unary --model_name NAME --input_stream in.mp4
  your own classes                   train --data clips/ --out models/exercises     (train --help)
  and their labels in a stream       --input_stream 0 --classifier models/exercises --output_stream screen
  throughput against latency         benchmark --max_inflight 1,2,4,8               (benchmark --help)
  what is wrong before a run         doctor, followed by the run's own flags        (doctor --help)
  true latency, loss and order       readback rtsp://host/path      of pictures from testsrc (readback --help)
  a model against annotations        evaluate models/exercises clip.mp4             (evaluate --help)
"""

USAGE_ERROR, RUN_ERROR = 2, 1
_COMMANDS = {
    "train": "stream_client.training.train",
    "evaluate": "stream_client.training.evaluate",
    "readback": "stream_client.readback.command",
    "doctor": "stream_client.doctor.command",
    "benchmark": "stream_client.benchmark.command",
}
"""Commands with flags of their own; ``train`` and ``evaluate`` need the extra ``train``."""


def build_parser() -> argparse.ArgumentParser:
    """Every flag of OVMS's demo client under its name, and the new ones."""
    parser = argparse.ArgumentParser(
        prog="ovms-stream-client",
        description="Send video to a model server, and route the returned pictures and labels.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("source").add_argument
    add(
        "--input_stream",
        required=True,
        help="camera (0, webcam, /dev/video0), video file, URL (rtsp://, http://), or testsrc[:WxH@FPS] (see readback)",
    )
    add("--realtime", action="store_true", help="pace a file like a live source")
    add("--loop", action="store_true", help="repeat a file for ever")
    add("--camera_width", type=int, help="pixels; with --camera_height")
    add("--camera_height", type=int, help="pixels; with --camera_width")
    add("--camera_fps", type=float, help="frames a second to ask the camera for")
    add(
        "--rtsp_transport",
        choices=("tcp", "udp"),
        default="tcp",
        help="how RTSP carries video (default: tcp)",
    )
    add("--source_timeout", type=float, default=10.0, help="seconds to wait for a live source (default: 10)")
    add("--enforce_fps", type=float, help="at most so many frames a second")
    _add_outputs(parser)
    _add_classifier(parser)
    add = add_server_flags(parser)
    add(
        "--api",
        choices=("stream", "unary"),
        default="stream",
        help="ModelStreamInfer or ModelInfer (default: stream)",
    )
    add("--output_name", help="its image output (default: found out)")
    add("--label_output_name", help="its output with label scores (default: found out)")
    add("--labels", type=Path, help="file with the names of the labels, one a line")
    add("--max_side", type=int, help="shrink larger frames to so many pixels before sending; results stay full-size")
    add = parser.add_argument_group("flow control").add_argument
    add("--max_inflight", default="auto", help="frames sent and unanswered: a number, or auto (default)")
    add("--latency_target", type=float, help="milliseconds that --max_inflight auto shall stay below")
    add(
        "--drop_policy",
        choices=("block", "latest"),
        help="block: wait, drop nothing (default for files); latest: newest frame wins (default for live sources)",
    )
    add("--request_timeout", type=float, default=10.0, help="seconds until a frame is given up (default: 10)")
    add("--join_timeout", type=float, default=0.2, help="seconds a picture waits for its label (default: 0.2)")
    add(
        "--on_server_loss",
        choices=("retry", "fail"),
        help="reconnect, or end the run (default: retry for live sources, fail for files)",
    )
    add(
        "--reconnect_timeout",
        type=float,
        help="seconds until a lost server, live source or RTSP output is given up; 0: at once (default: never)",
    )
    add = parser.add_argument_group("run").add_argument
    add("--limit_frames", type=int, default=0, help="end after so many frames")
    add("--limit_stream_duration", type=float, default=0.0, help="end after so many seconds")
    add("--verbose", action="store_true", help="log what happens, and show tracebacks")
    _add_metrics(parser)
    _add_benchmark(parser)
    return parser


def add_server_flags(parser: argparse.ArgumentParser) -> Callable[..., argparse.Action]:
    """How to reach a servable, and how it takes pictures; returns what adds further flags to the group."""
    add = parser.add_argument_group("server").add_argument
    add(
        "--grpc_address",
        default="embedded",
        help="host:port or unix:path of OVMS or another KServe v2 server; default: embedded, a local graph server",
    )
    add("--model_name", help="graph or model (default: holisticClassifier or holisticTracking, what is there)")
    add("--input_name", help="its image input (default: found out)")
    add("--input_layout", choices=("hwc", "nhwc", "nchw"), help="how it takes pictures (default: found out)")
    add("--input_dtype", help="KServe datatype of its input, as FP32 (default: found out)")
    add("--tls", action="store_true", help="use TLS")
    add("--tls_ca", type=Path, help="PEM file with the authorities to trust (default: the system's)")
    add("--tls_cert", type=Path, help="PEM file with the client's certificate")
    add("--tls_key", type=Path, help="PEM file with the client's key")
    add(
        "--no_shared_memory",
        action="store_true",
        help="send frames through gRPC also to a server on this machine that offers shared memory",
    )
    add("--connect_timeout", type=float, default=5.0, help="seconds to wait for the server (default: 5)")
    add("--models_dir", type=Path, help="model repository of the embedded server (default: the user's cache)")
    add("--config_path", type=Path, help="config.json of the embedded server (default: the project's)")
    return add


def _add_benchmark(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("benchmark (docs/benchmark.md)").add_argument
    add(
        "--benchmark",
        action="store_true",
        help="measure, print a table, and the line of JSON of OVMS's demo on standard output",
    )
    add("--report", type=Path, metavar="FILE", help="write the report as JSON, and as CSV beside it")
    add("--warmup_frames", type=int, default=20, help="results to leave out at the beginning (default: 20)")
    add("--benchmark_window", type=float, default=2.0, help="seconds of a window for stability (default: 2)")
    add(
        "--benchmark_until",
        choices=("stable", "end"),
        help="end when three windows agree within 10 %%, or at the end of the source or a limit only "
        "(default: stable, but end where a file is written)",
    )


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("metrics (docs/metrics.md)").add_argument
    add("--metrics_port", type=int, help="serve Prometheus metrics on this port, 0: any free one (default: none)")
    add("--metrics_address", default="127.0.0.1", help="address to serve them on (default: 127.0.0.1)")
    add("--pushgateway", metavar="URL", help="push the metrics there at the end of the run")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("outputs").add_argument
    add(
        "--output_stream",
        action="append",
        default=[],
        help="screen, none, a video file (.mp4, .mov, .mkv) or rtsp://server/path; may be given several times",
    )
    add("--labels_output", type=Path, help="JSON Lines file: label, scores and latency of each frame")
    add("--label_changes_output", metavar="FILE", help="JSON Lines file of the label's changes; - is standard output")
    add("--landmarks_output", type=Path, metavar="FILE", help="landmarks of each frame: .jsonl or .parquet")
    add("--no_label_text", action="store_true", help="do not write the label on the picture")
    add(
        "--encoder",
        default="pyav",
        help="of rtsp:// output: pyav[:NAME] (default) or ffmpeg[:NAME], NAME as libx264 or h264_vaapi",
    )
    add("--quality", type=int, default=20, help="of video files and RTSP, 0 (best) to 51 (default: 20)")


def _add_classifier(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("classifier in the client").add_argument
    add("--classifier", metavar="DIR|URL", help="label by landmarks: a model of `train`, or an MLflow scoring server")
    add("--classifier_schema", type=Path, metavar="FILE", help="schema.json of a scoring server's features")
    add("--allow_pickle", action="store_true", help="load the classifier from a pickle: that runs the code in it")
    add("--count_repetitions", metavar="LABEL", help="count how often the classifier's label comes and goes")
    add("--dry_run", "--dry-run", action="store_true", help="print the samples that a training buffer would get")


def _command(name: str, arguments: Sequence[str]) -> int:
    try:
        module = importlib.import_module(_COMMANDS[name])
    except ModuleNotFoundError as error:
        print(
            f"error: {name} needs {error.name}, which is not installed: pip install 'ovms-stream-client[train]'",
            file=sys.stderr,
        )
        return USAGE_ERROR
    try:
        return int(module.main(arguments))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 at the end of the source, a limit or q; 1 when the run failed; 2 for arguments that cannot work."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _COMMANDS:
        return _command(given[0], given[1:])
    flags = build_parser().parse_args(given)
    logging.basicConfig(
        level=logging.INFO if flags.verbose else logging.WARNING,
        format="%(levelname)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        benchmark = _benchmark(flags, lambda: client.finish())  # noqa: PLW0108 - there is no client yet
        tally = Tally()
        client = _client(flags, (tally, *benchmark.observers) if benchmark else (tally,))
        monitor = _monitor(flags, tally)
    except StreamClientError as error:
        return _report(error, flags.verbose, USAGE_ERROR)
    stopped_by: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        stopped_by.append(number)
        if not client.opened and len(stopped_by) == 1:
            raise KeyboardInterrupt  # what is waited for at the start has nothing to finish
        client.stop()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with monitor, Progress() as progress:
            client.on_start(progress.start)
            client.on_result(progress.result)
            summary = client.run()
    except KeyboardInterrupt:
        return 128 + stopped_by[0]
    except StreamClientError as error:
        if client.summary is not None and client.summary.info is not None:
            _print_summary(client.summary)
        if stopped_by:
            return 128 + stopped_by[0]
        return _report(error, flags.verbose, USAGE_ERROR if isinstance(error, ConfigurationError) else RUN_ERROR)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    _print_summary(summary)
    _print_verdict(tally, summary, flags)
    _print_classifier(client.classifier)
    if benchmark is not None:
        try:
            benchmark.finish(summary)
        except StreamClientError as error:
            return _report(error, flags.verbose, RUN_ERROR)
    if stopped_by:
        return 128 + stopped_by[0]
    if summary.ledger.entered and not summary.ledger.delivered and summary.last_failure is not None:
        return _report(summary.last_failure, flags.verbose, RUN_ERROR)
    return 0


def _benchmark(flags: argparse.Namespace, end: Callable[[], None]) -> Benchmark | None:
    if not flags.benchmark:
        if flags.report is not None or flags.benchmark_until is not None:
            raise ConfigurationError("--report and --benchmark_until need --benchmark")
        return None
    files = (flags.labels_output, flags.label_changes_output, flags.landmarks_output)
    videos = [spec for spec in flags.output_stream if spec not in ("none", "screen") and "://" not in spec]
    writes = bool(videos) or any(file is not None for file in files)
    until_end = (flags.benchmark_until or ("end" if writes else "stable")) == "end"
    window = _run_options(flags).max_inflight
    settings = Settings(flags.api, window, flags.warmup_frames, flags.benchmark_window)
    return Benchmark(settings, (lambda: None) if until_end else end, flags.report)


def _monitor(flags: argparse.Namespace, tally: Tally) -> Monitor:
    monitor = Monitor(tally, port=flags.metrics_port, address=flags.metrics_address, pushgateway=flags.pushgateway)
    if monitor.url is not None:
        print(f"metrics: {monitor.url}", file=sys.stderr, flush=True)
    return monitor


def _client(flags: argparse.Namespace, observers: Sequence[Observer]) -> StreamClient:
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
        options=_run_options(flags),
        embedded=EmbeddedOptions(config_path=flags.config_path, models_dir=flags.models_dir),
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


def _run_options(flags: argparse.Namespace) -> RunOptions:
    try:
        window = "auto" if flags.max_inflight == "auto" else int(flags.max_inflight)
    except ValueError:
        raise ConfigurationError(
            f"{flags.max_inflight!r} is not a number of frames, nor auto (--max_inflight)"
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


def _print_summary(summary: Summary) -> None:
    delivered, seconds = summary.ledger.delivered, summary.seconds
    rate = f", {delivered / seconds:.1f} frames/s" if delivered and seconds else ""
    print(f"{summary.ledger.line()} in {seconds:.1f} s{rate}", file=sys.stderr, flush=True)
    for name, peer in summary.peers.items():
        if peer.losses:
            print(f"{name}: {peer.line()}", file=sys.stderr, flush=True)
    if summary.ledger.delivered and sum(summary.ledger.failed.values()) and summary.last_failure is not None:
        print(f"last failure: {redact(str(summary.last_failure))}", file=sys.stderr, flush=True)


def _print_verdict(tally: Tally, summary: Summary, flags: argparse.Namespace) -> None:
    assert summary.info is not None
    width, height = summary.info.width, summary.info.height
    if flags.max_side is not None:
        width, height = shrunk_size(width, height, flags.max_side)
    setting = Setting(width, height, flags.max_inflight == "auto", summary.info.live, summary.upload_rate)
    found = verdict(tally.snapshot(), setting)
    if found is not None:
        print(f"verdict: {found.sentence}", file=sys.stderr, flush=True)


def _print_classifier(classifier: LandmarkClassifier | None) -> None:
    if isinstance(classifier, PoseClassifier):
        if classifier.counter is not None:
            counter = classifier.counter
            print(f"{counter.label}: {counter.count} repetitions", file=sys.stderr, flush=True)
        if classifier.errors:
            reason = redact(str(classifier.last_error))
            print(f"{classifier.errors} predictions failed: {reason}", file=sys.stderr, flush=True)


def _report(error: StreamClientError, verbose: bool, status: int) -> int:
    if verbose:
        logging.getLogger(__name__).error("", exc_info=error)
    print(f"error: {redact(' '.join(str(error).split()))}", file=sys.stderr, flush=True)
    return status
