"""The flags of a run. Those of options are made from the dataclasses' settings."""

import argparse
from collections.abc import Callable

from stream_client.benchmark.options import BenchmarkOptions
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.collect.options import CollectOptions
from stream_client.embedded import EmbeddedOptions
from stream_client.events.options import EventOptions
from stream_client.monitoring.options import MetricsOptions
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.processing.options import PrivacyOptions
from stream_client.publishing.options import SinkOptions
from stream_client.recording.options import RecordingOptions
from stream_client.sources.options import SourceOptions
from stream_client.tracing.options import TracingOptions
from stream_client.tracking.options import DetectionOptions
from stream_client.transport.options import TlsOptions, TransportOptions

_USAGE = """%(prog)s --input_stream NAME --output_stream NAME [flags]
       %(prog)s {web,cameras,train,evaluate,analyze,batch,fleet,find,view,doctor,readback,benchmark} --help"""
_EXAMPLES = """
examples:
  a camera on the screen             --input_stream 0 --output_stream screen
  a file, with frames and labels     --input_stream in.mp4 --output_stream out.mp4 --labels_output labels.jsonl
  your own OVMS                      --grpc_address host:9000 --input_stream in.mp4 --output_stream out.mp4
  any KServe v2 server               --grpc_address host:9000 --api unary --model_name NAME --input_stream in.mp4 \\
                                     --output_stream out.mp4
  all of it in a browser             web                             (web --help)
  which cameras there are            cameras, at this machine and on the network    (cameras --help)
  your own classes                   train --data clips/ --out models/exercises     (train --help)
  and their labels in a stream       --input_stream 0 --classifier models/exercises --output_stream screen
  what a detector finds, followed    --grpc_address host:9000 --api unary --model_name yolo --labels coco.txt \\
                                     --detections auto --tracker bytetrack --input_stream 0 --output_stream screen
  a recording of weeks               --input_stream 0 --output_stream 'rec/%Y-%m-%d/%H-%M.mp4' --segment 10m \\
                                     --keep_for 14d --keep_size 200GB
  when somebody fell, in recordings  find --label falling --since 2h                (find --help)
  how long which label, in videos    analyze *.mp4 --out analyzed/                  (analyze --help)
  many cameras, each supervised      fleet streams.toml                             (fleet --help)
  archives, each video once          batch archive/ --output results/              (batch --help)
  landmarks over their video         view in.mp4 --html page.html                   (view --help)
  throughput against latency         benchmark --max_inflight 1,2,4,8               (benchmark --help)
  what is wrong before a run         doctor, followed by the run's own flags        (doctor --help)
  true latency, loss and order       readback rtsp://host/path      of frames from testsrc (readback --help)
  a model against annotations        evaluate models/exercises clip.mp4             (evaluate --help)
"""


def build_parser() -> argparse.ArgumentParser:
    """All flags. Those of OVMS's demo client keep their names."""
    parser = Parser(
        "ovms-stream-client",
        "Send video to a model server, and route the returned frames and labels.",
        _EXAMPLES,
        usage=_USAGE,
    )
    add = parser.add_argument_group("source").add_argument
    add_settings(add, StreamOptions, "input_stream")
    add_settings(add, SourceOptions)
    add_settings(add, RunOptions, "enforce_fps")
    add = parser.add_argument_group("outputs").add_argument
    outputs = (
        "output_stream",
        "labels_output",
        "label_changes_output",
        "landmarks_output",
        "label_text",
        "stream_name",
    )
    add_settings(add, StreamOptions, *outputs)
    add_settings(add, SinkOptions)
    add_settings(add, RunOptions, "audio")
    add_settings(parser.add_argument_group("recording").add_argument, RecordingOptions)
    add = parser.add_argument_group("classifier in the client").add_argument
    add_settings(add, ClassifierOptions)
    add("--dry_run", "--dry-run", action="store_true", help="print the samples that a training buffer would get")
    add_settings(parser.add_argument_group("detections").add_argument, DetectionOptions)
    add_settings(parser.add_argument_group("privacy").add_argument, PrivacyOptions)
    add_settings(parser.add_argument_group("frames for training").add_argument, CollectOptions)
    add_settings(parser.add_argument_group("events").add_argument, EventOptions)
    add = add_server_flags(parser)
    add_settings(add, TransportOptions, "api", "side_packet")
    add_settings(add, StreamOptions, "output_name", "label_output_name", "labels")
    add_settings(add, RunOptions, "max_side")
    add = parser.add_argument_group("flow control").add_argument
    flow = (
        "max_inflight",
        "latency_target",
        "latency_budget",
        "drop_policy",
        "damaged",
        "request_timeout",
        "join_timeout",
    )
    add_settings(add, RunOptions, *flow, "on_server_loss", "reconnect_timeout")
    add = parser.add_argument_group("run").add_argument
    add_settings(add, RunOptions, "limit_frames", "limit_stream_duration")
    add("--verbose", action="store_true", help="log what happens, and show tracebacks")
    add_settings(parser.add_argument_group("metrics").add_argument, MetricsOptions)
    add_settings(parser.add_argument_group("traces").add_argument, TracingOptions)
    add = parser.add_argument_group("benchmark").add_argument
    add(
        "--benchmark",
        action="store_true",
        help="measure, print a table, and the line of JSON of OVMS's demo on standard output",
    )
    add_settings(add, BenchmarkOptions)
    return parser


def add_server_flags(parser: argparse.ArgumentParser) -> Callable[..., argparse.Action]:
    """Flags for the server and for a servable's input, without ``--api``. Returns the function that adds flags to the
    group.
    """
    add = parser.add_argument_group("server").add_argument
    inputs = ("model_name", "input_name", "input_layout", "input_dtype", "wire", "jpeg_quality", "return")
    add_settings(add, TransportOptions, "grpc_address", *inputs)
    add("--tls", action="store_true", help="use TLS")
    add_settings(add, TlsOptions)
    add_settings(add, TransportOptions, "shared_memory", "connect_timeout")
    add_settings(add, EmbeddedOptions)
    return add
