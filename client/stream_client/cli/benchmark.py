"""``ovms-stream-client benchmark``: a sweep over frames in flight, APIs and sizes."""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from stream_client.benchmark.options import BenchmarkOptions
from stream_client.benchmark.plot import check_plot, draw
from stream_client.benchmark.report import report_json, write_report
from stream_client.benchmark.sweep import Outcome, SweepOptions, points, sweep, sweep_table
from stream_client.cli.flags import add_server_flags
from stream_client.cli.messages import error_line
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError, ConnectError, StreamClientError
from stream_client.options import RunOptions
from stream_client.run_settings import transport_options
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import Api, TransportOptions
from stream_client.transport.session import Session, connect
from stream_client.util.settings import read

_EPILOG = """
Each combination is a run of its own, which ends when three windows agree within 10 % in throughput and latency, or at
its limit. Times are those of a request, as perf_analyzer's. Example:

  ovms-stream-client benchmark --grpc_address host:9000 --max_inflight 1,2,4,8 --api stream,unary \\
      --size 640x360,1920x1080 --plot sweep.png --report sweep.json
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of a sweep."""
    parser = Parser(
        "ovms-stream-client benchmark", "Measure throughput against latency over several settings.", _EPILOG
    )
    add = parser.add_argument_group("sweep").add_argument
    add("--max_inflight", type=_windows, default=[1, 2, 4, 8], help="frames in flight (default: 1,2,4,8)")
    add("--api", type=_apis, default=["stream"], help="stream, unary or both (default: stream)")
    add("--size", type=_sizes, default=[(640, 360)], help="sizes of the frames (default: 640x360)")
    add("--input_stream", default="testsrc@max", help="a file: its first frames are sent (default: a test pattern)")
    add_settings(add, RunOptions, "limit_stream_duration", limit_stream_duration=20.0)
    add_settings(add, BenchmarkOptions, "warmup_frames", "benchmark_window", "report")
    add("--plot", type=Path, metavar="FILE.png", help="draw throughput against latency; needs the extra bench")
    add_settings(add_server_flags(parser), RunOptions, "request_timeout")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every point was measured. 1: one failed. 2: flags that cannot work."""
    flags = build_parser().parse_args(arguments)
    chosen = points(flags.api, flags.size, flags.max_inflight)
    outcomes: list[Outcome] = []
    try:
        if flags.plot is not None:
            check_plot(flags.plot)
        run, benchmark = read(RunOptions, {**vars(flags), "max_inflight": None}), read(BenchmarkOptions, vars(flags))
        with ExitStack() as stack:
            options = SweepOptions(_transport(flags, stack), run, benchmark, flags.input_stream)
            for outcome in sweep(chosen, options):
                outcomes.append(outcome)
                print(f"{len(outcomes)} of {len(chosen)}: {outcome.point}", file=sys.stderr, flush=True)
        print(sweep_table(outcomes))
        if benchmark.report is not None:
            _write(benchmark.report, outcomes)
        if flags.plot is not None:
            draw(outcomes, flags.plot)
    except StreamClientError as error:
        print(f"error: {error_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    return 1 if any(outcome.report is None for outcome in outcomes) else 0


def _transport(flags: argparse.Namespace, stack: ExitStack) -> TransportOptions:
    """One server, and one servable, for all points."""
    apis: list[Api] = flags.api
    flags.api = apis[0]
    options = transport_options(vars(flags))
    if options.address == EMBEDDED:
        server = EmbeddedServer(read(EmbeddedOptions, vars(flags)))
        stack.callback(server.close)
        server.start()
        options = replace(options, address=server.address)
    # The default servable depends on the API: unary calls can use fewer.
    api: Api = "unary" if "unary" in apis else "stream"
    return replace(options, model_name=_first(replace(options, api=api)).servable.name)


def _first(options: TransportOptions) -> Session:
    """A session with the first of the servers that answers."""
    *others, last = options.singly()
    for each in others:
        with suppress(ConnectError):
            return connect(each)
    return connect(last)


def _write(path: Path, outcomes: Sequence[Outcome]) -> None:
    values = [
        {"error": outcome.error} if outcome.report is None else report_json(outcome.report) for outcome in outcomes
    ]
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    write_report(path, {"points": values}, reports)


def _windows(text: str) -> list[int]:
    values = [int(part) for part in text.split(",") if part.isdecimal()]
    if len(values) != text.count(",") + 1 or min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers from 1, as 1,2,4,8")
    return values


def _apis(text: str) -> list[str]:
    values = text.split(",")
    if not {"stream", "unary"}.issuperset(values):
        raise argparse.ArgumentTypeError(f"{text!r} is not stream, unary or stream,unary")
    return values


def _sizes(text: str) -> list[tuple[int, int]]:
    matches = [re.fullmatch(r"(\d+)x(\d+)", part) for part in text.split(",")]
    sizes = [(int(match[1]), int(match[2])) for match in matches if match is not None]
    if len(sizes) != len(matches) or not all(0 < side <= 8192 for size in sizes for side in size):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of sizes, as 640x360,1920x1080")
    return sizes
