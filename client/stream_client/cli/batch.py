"""``ovms-stream-client batch``."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from tqdm import tqdm

from stream_client.cli.flags import add_server_flags
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.fleet.batch.inputs import find_videos
from stream_client.fleet.batch.manifest import Record
from stream_client.fleet.batch.options import BatchOptions
from stream_client.fleet.batch.pool import SpareWorkers, WorkerPool, usual_workers
from stream_client.fleet.batch.run import BatchSummary, MakePool, claim, failure_of, plan, run_batch
from stream_client.fleet.engine import EngineOptions
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.run_settings import run_settings, run_transport
from stream_client.tracking.options import DetectionOptions
from stream_client.transport.addresses import EMBEDDED
from stream_client.util.settings import read
from stream_client.util.wording import counted

_EPILOG = """
An input is a video, a folder, a pattern ('clips/**/*.mp4'), a list (@FILE), a URL, or s3:// and the like (extra
cloud). Run it again, and only what is missing, changed or failed is done. For instance:

  ovms-stream-client batch archive/ --output results/ --results labels --results landmarks
  ovms-stream-client batch 's3://bucket/2026/*.mp4' --output results/ --grpc_address host:9000 --split 10m
  ovms-stream-client batch /shared/archive --output /shared/results --grpc_address host:9000 --engine ray
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``batch``."""
    parser = Parser(
        "ovms-stream-client batch",
        "Label archives: each video once, with a manifest; several videos at a time.",
        _EPILOG,
    )
    parser.add_argument("input", nargs="+", help="videos, folders, patterns, lists, URLs")
    add_settings(parser.add_argument, BatchOptions)
    add_settings(parser.add_argument, EngineOptions)
    add_settings(parser.add_argument_group("classifier in the client").add_argument, ClassifierOptions)
    add_settings(parser.add_argument_group("detections").add_argument, DetectionOptions)
    add = add_server_flags(parser)
    add_settings(add, StreamOptions, "output_name", "label_output_name", "labels")
    add_settings(add, RunOptions, "max_side", "request_timeout", "reconnect_timeout")
    return parser


def run(arguments: Sequence[str]) -> BatchSummary:
    """Parse ``arguments`` and run the batch.

    Raises :class:`~stream_client.errors.StreamClientError` where a video failed or was not begun.
    """
    flags = build_parser().parse_args(arguments)
    given = vars(flags)
    options, engine = read(BatchOptions, given), read(EngineOptions, given)
    names = {"tls", *run_settings()}
    settings = {name: _plain(value) for name, value in given.items() if name in names and value is not None}
    transport = run_transport({**settings, "landmarks_output": "landmarks" in options.results})
    if transport.model_name is not None:
        settings["model_name"] = transport.model_name
    if engine.engine == "ray" and transport.address == EMBEDDED:
        raise ConfigurationError(
            "an embedded server serves only this machine: name one that every node of the cluster reaches",
            option="grpc_address",
        )
    settings["drop_policy"] = "block"  # a result for every frame
    videos = find_videos(flags.input)
    with ExitStack() as stack:
        stack.enter_context(claim(options.output))
        planned = plan(options, settings, videos)
        have = "has its" if planned.current == 1 else "have their"
        _say(f"{counted(len(videos), 'video')}, {planned.current} {have} results{_reason(planned.others)}")
        make_pool: MakePool = WorkerPool
        if planned.missing and transport.address == EMBEDDED:
            spares = SpareWorkers(min(options.workers or usual_workers(), len(planned.missing)))
            make_pool = partial(WorkerPool, spares=stack.enter_context(spares))
            server = stack.enter_context(EmbeddedServer(read(EmbeddedOptions, given)))
            settings |= _of_server(settings, server)
        elif planned.missing:
            make_pool = _pool(engine, stack)
        with tqdm(total=len(planned.missing), unit="video", disable=not sys.stderr.isatty()) as bar:
            summary = run_batch(options, settings, planned, lambda record: _show(record, bar), make_pool)
    _print(summary)
    failure = failure_of(summary)
    if failure is not None:
        raise failure
    return summary


def _pool(engine: EngineOptions, stack: ExitStack) -> MakePool:
    if engine.engine == "local":
        return WorkerPool
    from stream_client.fleet.cluster.batch_pool import RayPool
    from stream_client.fleet.cluster.connection import connected

    return partial(RayPool, stack.enter_context(connected(engine.cluster)))


def _of_server(settings: dict[str, Any], server: EmbeddedServer) -> dict[str, object]:
    labels = server.label_files.get(settings.get("model_name") or "holisticClassifier")
    found: dict[str, object] = {"grpc_address": server.address}
    if labels is not None and "labels" not in settings and "classifier" not in settings:
        found["labels"] = str(labels)
    return found


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | list | tuple) else str(value)


def _reason(others: int) -> str:
    return f"; {others} were changed, or have results of other settings, and are done again" if others else ""


def _show(record: Record, bar: "tqdm[Any]") -> None:
    bar.update()
    if record.status == "failed":
        bar.write(f"failed: {record.address}: {record.error}", file=sys.stderr)
    elif bar.disable:
        _say(f"done: {record.address}: {record.delivered} frames in {record.seconds:.1f} s")


def _print(summary: BatchSummary) -> None:
    _say(f"{summary.done} done, {summary.failed} failed, {summary.left} left; {summary.frames} frames")
    for cause, count in sorted(summary.causes.items(), key=lambda each: -each[1]):
        _say(f"  {count} x {cause}")
    _say(f"manifest: {summary.manifest}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """``batch`` of the command line: 0; 2 for arguments that cannot work, 1 where a video has no results."""
    return status_of(run, arguments)
