"""The flags of the command line."""

import argparse
from collections.abc import Callable
from pathlib import Path

from stream_client.cli.parser import Parser

_USAGE = """%(prog)s --input_stream NAME --output_stream NAME [flags]
       %(prog)s {train,evaluate,doctor,readback,benchmark} --help"""
_EXAMPLES = """
examples:
  a camera on the screen             --input_stream 0 --output_stream screen
  a file, with pictures and labels   --input_stream in.mp4 --output_stream out.mp4 --labels_output labels.jsonl
  your own OVMS                      --grpc_address host:9000 --input_stream in.mp4 --output_stream out.mp4
  any KServe v2 server               --grpc_address host:9000 --api unary --model_name NAME --input_stream in.mp4 \\
                                     --output_stream out.mp4
  your own classes                   train --data clips/ --out models/exercises     (train --help)
  and their labels in a stream       --input_stream 0 --classifier models/exercises --output_stream screen
  throughput against latency         benchmark --max_inflight 1,2,4,8               (benchmark --help)
  what is wrong before a run         doctor, followed by the run's own flags        (doctor --help)
  true latency, loss and order       readback rtsp://host/path      of pictures from testsrc (readback --help)
  a model against annotations        evaluate models/exercises clip.mp4             (evaluate --help)
"""


def build_parser() -> argparse.ArgumentParser:
    """Every flag of OVMS's demo client under its name, and the new ones."""
    parser = Parser(
        "ovms-stream-client",
        "Send video to a model server, and route the returned pictures and labels.",
        _EXAMPLES,
        usage=_USAGE,
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
    add("--max_inflight", metavar="N", default="auto", help="frames sent and unanswered: a number, or auto (default)")
    add("--latency_target", type=float, help="milliseconds that --max_inflight auto shall stay below")
    add(
        "--drop_policy",
        choices=("block", "latest"),
        help="block: wait, drop nothing (default for files); latest: newest frame wins (default for live sources)",
    )
    add(
        "--request_timeout",
        type=float,
        default=10.0,
        help="seconds until a frame is given up; with --on_server_loss retry a file's is sent again (default: 10)",
    )
    add(
        "--join_timeout",
        type=float,
        help="seconds a picture waits for its label (default: what the server proves to need, 0.2 at least)",
    )
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
        metavar="ADDRESS",
        default="embedded",
        help="host:port or unix:path of OVMS or another KServe v2 server; default: embedded, a local graph server",
    )
    add("--model_name", help="graph or model (default: holisticClassifier or holisticTracking, what is there)")
    add("--input_name", help="its image input (default: found out)")
    add("--input_layout", choices=("hwc", "nhwc", "nchw"), help="how it takes pictures (default: found out)")
    add("--input_dtype", metavar="TYPE", help="KServe datatype of its input, as FP32 (default: found out)")
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
    add(
        "--models_dir",
        type=Path,
        metavar="DIR",
        help="model repository of the embedded server (default: the user's cache)",
    )
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
    add(
        "--metrics_address",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address to serve them on (default: 127.0.0.1)",
    )
    add("--pushgateway", metavar="URL", help="push the metrics there at the end of the run")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("outputs").add_argument
    add(
        "--output_stream",
        action="append",
        default=[],
        help="screen, none, a video file (.mp4, .mov, .mkv) or rtsp://server/path; may be given several times",
    )
    add(
        "--labels_output",
        type=Path,
        help="JSON Lines file: label, scores and latency of each frame; - is standard output",
    )
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
