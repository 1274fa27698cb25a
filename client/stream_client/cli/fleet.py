"""``ovms-stream-client fleet``."""

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from stream_client.cli.messages import error_line
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan, read_plans
from stream_client.fleet.supervised import Complete, StreamStatus
from stream_client.monitoring.options import MetricsOptions
from stream_client.run_settings import Settings, run_transport
from stream_client.transport.servable import KNOWN_GRAPHS
from stream_client.util.redact import redact
from stream_client.util.settings import read
from stream_client.util.table import table

_EPILOG = """
example of streams.toml:

  [defaults]
  grpc_address = "host:9000"
  labels_output = "labels/{stream}.jsonl"

  [streams.door]
  input_stream = "rtsp://camera-1/main"

The file is read again when it changes: streams that are new start, those that are gone end, others go on.
"""
_LOOK_SECONDS = 1.0
_OVER = ("ended", "stopped")


def build_parser() -> Parser:
    """The flags of ``fleet``."""
    parser = Parser("ovms-stream-client fleet", "Run many streams, each supervised.", _EPILOG)
    parser.add_argument("streams", type=Path, help="streams.toml: a run's settings under a name for each stream")
    parser.add_argument("--status_every", type=float, default=10.0, metavar="SECONDS", help="print a table so often")
    add_settings(parser.add_argument, MetricsOptions, "metrics_port", "metrics_address")
    add_settings(parser.add_argument, EmbeddedOptions)
    parser.add_argument("--verbose", action="store_true", help="log what happens to streams")
    return parser


def run(arguments: Sequence[str]) -> None:
    """Run the streams of the file until a signal, or until all of them have ended.

    Raises :class:`~stream_client.errors.ConfigurationError` for a file or stream that cannot work at the start.
    """
    flags = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if flags.verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    plans = read_plans(flags.streams)
    stopping = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ExitStack() as stack:
            complete = _server(plans, read(EmbeddedOptions, vars(flags)), stack)
            fleet = stack.enter_context(Fleet(complete))
            problems = fleet.apply(plans)
            if problems:
                name, problem = next(iter(problems.items()))
                raise ConfigurationError(f"stream {name!r}: {problem}")
            _serve_metrics(fleet, read(MetricsOptions, vars(flags)), stack)
            _watch(fleet, flags.streams, plans, flags.status_every, stopping)
            print(status_table(fleet.status()), file=sys.stderr, flush=True)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _server(plans: Sequence[StreamPlan], options: EmbeddedOptions, stack: ExitStack) -> Complete:
    """One embedded server for all streams that name no other, if there are such."""
    if all(plan.settings.get("grpc_address") for plan in plans):
        return lambda settings: settings
    server = stack.enter_context(EmbeddedServer(options))

    def complete(settings: Settings) -> Settings:
        if settings.get("grpc_address"):
            return settings
        model = run_transport(settings).model_name or KNOWN_GRAPHS[0]
        labels = server.label_files.get(model)
        named: Settings = {} if labels is None else {"labels": str(labels)}
        return {**named, **settings, "grpc_address": server.address, "model_name": model}

    return complete


def _serve_metrics(fleet: Fleet, options: MetricsOptions, stack: ExitStack) -> None:
    if options.metrics_port is None:
        return
    from stream_client.monitoring.prometheus.export import MetricsServer
    from stream_client.monitoring.prometheus.families import Metrics

    metrics = Metrics(fleet.statistics)
    served = stack.enter_context(MetricsServer(metrics, port=options.metrics_port, address=options.metrics_address))
    print(f"metrics: {served.url}", file=sys.stderr, flush=True)


def _watch(
    fleet: Fleet, path: Path, plans: Sequence[StreamPlan], status_every: float, stopping: threading.Event
) -> None:
    """Apply changes of the file, and print the table, until ``stopping`` or until every stream is over."""
    seen, shown = _state(path), 0.0
    while not stopping.wait(_LOOK_SECONDS):
        shown += _LOOK_SECONDS
        now = _state(path)
        if now != seen:
            seen = now
            _apply(fleet, path)
        status = fleet.status()
        if shown >= status_every:
            shown = 0.0
            print(status_table(status), file=sys.stderr, flush=True)
        if all(each.state in _OVER for each in status):
            return


def _apply(fleet: Fleet, path: Path) -> None:
    """What is wrong with the file is said, and the streams go on as they are."""
    try:
        problems = fleet.apply(read_plans(path))
    except ConfigurationError as error:
        print(f"not taken: {error_line(error)}", file=sys.stderr, flush=True)
        return
    for name, problem in problems.items():
        print(f"stream {name!r} does not start: {redact(problem)}", file=sys.stderr, flush=True)


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0  # it is being replaced
    return status.st_mtime_ns, status.st_size


def status_table(streams: Sequence[StreamStatus]) -> str:
    """A row for each stream."""
    header = ("stream", "state", "frames/s", "latency ms", "delivered", "dropped", "failed", "restarts", "problem")
    rows = [
        (
            *(each.name, each.state, f"{each.rate:.1f}"),
            "-" if each.latency is None else f"{1000 * each.latency:.0f}",
            *(str(number) for number in (each.delivered, each.dropped, each.failed, each.restarts)),
            each.problem[:80],
        )
        for each in streams
    ]
    return table(header, rows)


def main(arguments: Sequence[str]) -> int:
    """``fleet`` of the command line: 0; 2 for a file that cannot work."""
    return status_of(run, arguments)
