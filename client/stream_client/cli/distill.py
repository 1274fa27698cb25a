"""``ovms-stream-client distill``."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from stream_client.cli.last_resort import end_now
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.distill.collection import collect
from stream_client.distill.joints import JOINT_SETS
from stream_client.distill.options import DistillOptions
from stream_client.distill.producer import Failed
from stream_client.distill.providers.base import fetched
from stream_client.distill.providers.factory import FetchOptions, ProviderName, open_provider
from stream_client.distill.samples import PoseSample
from stream_client.distill.streams import Pass, named_streams
from stream_client.distill.teacher import PERSONS_GRAPH, GraphTeacher, Teacher
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.monitoring.learning import Learning
from stream_client.monitoring.options import MetricsOptions
from stream_client.training.configuration import add_models
from stream_client.transport.options import TransportOptions
from stream_client.util.extras import install_command
from stream_client.util.settings import read
from stream_client.util.wording import counted

if TYPE_CHECKING:
    from stream_client.distill.distill import Distilled
    from stream_client.distill.progress import Point

_EPILOG = """
A source is a video, a folder, a pattern, a list (@FILE), a URL or a camera. Frames stay in memory. For instance:

  ovms-stream-client distill --video clips/ --out models/student --minutes 10
  ovms-stream-client distill --fetch --queries "sports athlete" "yoga pose" --n 5 --loop
  ovms-stream-client distill --video in.mp4 --dry_run
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``distill``."""
    parser = Parser(
        "ovms-stream-client distill",
        "Train a small model of 3D poses on streams, with the landmarks of the graph as its teacher.",
        _EPILOG,
    )
    add = parser.add_argument
    add("--video", nargs="+", default=[], metavar="SOURCE", help="what to learn from")
    add(
        "--held_out",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="what to evaluate on (default: one of five sources, or parts of a single one)",
    )
    add(
        "--fetch",
        nargs="?",
        const="pexels",
        choices=get_args(ProviderName),
        help="fetch videos to learn from: of Pexels, with the key in PEXELS_API_KEY or .env",
    )
    add("--queries", nargs="+", default=[], metavar="WORDS", help="what the fetched videos shall show")
    add_settings(add, FetchOptions, "n", "fetch_address")
    add("--dry_run", "--dry-run", action="store_true", help="print the samples of the sources, and learn nothing")
    add_settings(add, DistillOptions)
    add("--serve", type=Path, metavar="CONFIG", help="add the student to this OVMS configuration")
    add_settings(parser.add_argument_group("metrics").add_argument, MetricsOptions, "metrics_port", "metrics_address")
    group = parser.add_argument_group("teacher").add_argument
    add_settings(group, TransportOptions, "grpc_address")
    add_settings(group, EmbeddedOptions, "models_dir")
    return parser


def run(arguments: Sequence[str]) -> "Distilled | None":
    """Parse ``arguments`` and train; raises :class:`~stream_client.errors.StreamClientError`."""
    flags = build_parser().parse_args(arguments)
    options = read(DistillOptions, vars(flags))
    streams = _streams(flags)
    teacher = GraphTeacher(
        JOINT_SETS[options.joints],
        grpc_address=flags.grpc_address,
        graph=PERSONS_GRAPH if options.persons else None,
        embedded=read(EmbeddedOptions, vars(flags)),
    )
    with closing(teacher):
        if flags.dry_run:
            _print_samples(streams, teacher, options)
            return None
        try:
            return _train(streams, teacher, options, flags)
        except KeyboardInterrupt:
            print("interrupted: --resume goes on from the last evaluation", file=sys.stderr)
            raise


def _streams(flags: argparse.Namespace) -> Pass:
    fetch = FetchOptions(flags.fetch, tuple(flags.queries), flags.n, flags.fetch_address)
    if fetch.fetch is None:
        if not flags.video:
            raise ConfigurationError("name what to learn from", option="video")
        streams = named_streams(flags.video, flags.held_out)
        return lambda: streams
    if flags.video or flags.held_out:
        raise ConfigurationError("fetched videos are not mixed with others: leave one of them out", option="fetch")
    provider = open_provider(fetch)
    print(f"videos provided by {provider.name}: {provider.page}", flush=True)
    return fetched(provider, fetch.queries, fetch.n)


def _print_samples(streams: Pass, teacher: Teacher, options: DistillOptions) -> None:
    names = teacher.joint_set.names
    counts = {False: 0, True: 0}

    def show(sample: PoseSample, held_out: bool) -> None:
        counts[held_out] += 1
        joint = next((index for index in range(len(names)) if sample.visible[index] and sample.joints[index].any()), 0)
        x, y, z = sample.joints[joint]
        print(
            f"{sample.timestamp / 1e6:.3f} s  {sample.source}  {'held out' if held_out else 'train'}  "
            f"{sample.visible.sum()} of {len(names)} joints visible  {names[joint]} {x:+.3f} {y:+.3f} {z:+.3f} m"
        )

    with collect(streams, teacher, options, show) as collection:
        while not collection.producer.wait(0.5):
            pass
    if collection.producer.error is not None:
        raise collection.producer.error
    print(f"{counted(counts[False], 'sample')} to learn from, {counts[True]} held out")
    _name_failures(collection.producer.failed)
    if not any(counts.values()):
        raise StreamClientError("no person was seen in any source")


def _train(streams: Pass, teacher: Teacher, options: DistillOptions, flags: argparse.Namespace) -> "Distilled":
    try:
        import torch

        from stream_client.distill.distill import distill
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"distill needs {error.name}, which is not installed: {install_command('distill')}"
        ) from error

    torch.set_num_threads(options.threads or max(1, (os.cpu_count() or 1) // 2))
    learning = Learning()

    def show(point: "Point") -> None:
        print(point.line(), flush=True)
        learning.evaluated(
            point.step,
            loss=point.loss,
            error=point.mpjpe,
            expected=point.expected,
            mean_pose=point.mean_pose,
            near=point.pck,
        )

    with _metrics(learning, flags):
        done = distill(
            streams,
            teacher,
            options,
            on_point=show,
            on_sample=lambda sample, held_out: learning.add_sample(held_out=held_out),
        )
    print(f"ended: {done.reason}\n{done.table}\nwritten to {done.folder}")
    _name_failures(done.failed)
    if flags.serve is not None:
        print(f"added to {flags.serve}: {', '.join(add_models({done.name: options.out}, flags.serve))}")
    return done


def _metrics(learning: Learning, flags: argparse.Namespace) -> AbstractContextManager[object]:
    """Serves the training's metrics, where that is asked for. Prints the URL to standard error."""
    metrics = read(MetricsOptions, vars(flags))
    if metrics.metrics_port is None:
        return nullcontext()
    from stream_client.monitoring.prometheus import LearningMetrics, MetricsServer

    server = MetricsServer(LearningMetrics(learning), port=metrics.metrics_port, address=metrics.metrics_address)
    print(f"metrics: {server.url}", file=sys.stderr, flush=True)
    return server


def _name_failures(failed: Sequence[Failed]) -> None:
    for each in failed:
        print(f"skipped: {each.reason}", file=sys.stderr)
    if failed:
        print(f"{counted(len(failed), 'source')} skipped", file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    """``distill`` of the command line: 0; 2 for arguments that cannot work, 1 for a failed run."""
    try:
        return status_of(run, arguments)
    except KeyboardInterrupt:
        end_now(128 + signal.SIGINT)  # everything is closed; Python would take seconds to free PyTorch
