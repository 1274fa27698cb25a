"""``ovms-stream-client doctor``: takes a run's own flags, examines, prints a table."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from stream_client.cli.assembly import given_by
from stream_client.cli.flags import build_parser as run_parser
from stream_client.cli.messages import error_line, with_flag
from stream_client.doctor import machine
from stream_client.doctor.finding import Finding, amiss, ok, skipped
from stream_client.doctor.server import ServerChecks
from stream_client.doctor.source import SourceChecks
from stream_client.doctor.stock_client import StockClientChecks
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Image
from stream_client.publishing.options import SinkOptions
from stream_client.run_settings import run_transport
from stream_client.sources.options import SourceOptions
from stream_client.test_source.code import FrameCode
from stream_client.test_source.pattern import TestPattern
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import TransportOptions
from stream_client.util.extras import install_command
from stream_client.util.settings import read

_STATUS_WIDTH, _CHECK_WIDTH = 8, 28
_EPILOG = """
Takes the flags of the run to be examined; without --input_stream it looks at the test pattern. Exit status: 0 when
the run has all it needs, 1 when something failed, 2 for flags that cannot work. For instance:

  ovms-stream-client doctor
  ovms-stream-client doctor --grpc_address host:9000 --input_stream rtsp://camera/1 --output_stream screen
"""


def build_parser() -> argparse.ArgumentParser:
    """The run's flags, ``--stock_client`` and ``--json``."""
    built = run_parser()
    built.prog = "ovms-stream-client doctor"
    built.usage = "%(prog)s [flags of the run] [--stock_client] [--json FILE]"
    built.description = "Examine what a run needs: server, source, outputs, this machine."
    built.epilog = _EPILOG
    built.set_defaults(input_stream="testsrc")
    built.add_argument(
        "--stock_client",
        action="store_true",
        help="ask the server with tritonclient too, to see whether a fault is this client's or the server's",
    )
    built.add_argument("--json", type=Path, metavar="FILE", help="write the findings as JSON")
    return built


def main(arguments: Sequence[str]) -> int:
    """Examine; see :data:`_EPILOG` for the exit status."""
    flags = build_parser().parse_args(arguments)
    findings = []
    print(f"{'status':{_STATUS_WIDTH}}{'check':{_CHECK_WIDTH}}found")
    try:
        with ExitStack() as stack:
            for finding in examine(flags, stack):
                findings.append(finding)
                print(line(finding), flush=True)
        if flags.json is not None:
            _write(flags.json, findings)
    except ConfigurationError as error:
        print(f"error: {error_line(error)}", file=sys.stderr)
        return 2
    failed = sum(finding.status == "failed" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    print(f"\n{len(findings)} checks: {failed} failed, {warnings} with a warning")
    return 1 if failed else 0


def examine(flags: argparse.Namespace, stack: ExitStack) -> Iterator[Finding]:
    """Yield each finding as soon as it is known. ``stack`` ends what was started."""
    transport = run_transport(given_by(flags))
    yield machine.versions()
    yield from machine.codecs(writes_video=any(spec not in ("screen", "none") for spec in flags.output_stream))
    source = SourceChecks(flags.input_stream, read(SourceOptions, vars(flags)))
    yield from source.run()
    image = source.image if source.image is not None else _pattern()
    if flags.grpc_address == EMBEDDED:
        yield from _embedded(flags, transport, image, stack)
    else:
        yield from _server(flags, transport, image)
    yield from machine.outputs(flags.output_stream, read(SinkOptions, vars(flags)))
    for path in (flags.labels_output, flags.label_changes_output, flags.landmarks_output):
        if path is not None and str(path) != "-":
            yield machine.folder(f"output {path}", Path(path))
    yield machine.display(needed="screen" in flags.output_stream)
    metrics_port = flags.metrics_port
    if metrics_port:
        yield machine.metrics_port(metrics_port)
    yield machine.usual_ports()


def line(finding: Finding) -> str:
    """A row of the table, and the remedy below it. What was found for a long name has a line of its own."""
    margin = " " * (_STATUS_WIDTH + _CHECK_WIDTH)
    check = f"{finding.check:{_CHECK_WIDTH}}"
    if finding.found and not check.endswith(" "):
        check = f"{finding.check}\n{margin}"
    row = f"{finding.status:{_STATUS_WIDTH}}{check}{finding.found}".rstrip()
    return f"{row}\n{margin}-> {_remedy(finding)}" if finding.remedy else row


def _remedy(finding: Finding) -> str:
    return with_flag(finding.remedy, finding.option, finding.value)


def _embedded(
    flags: argparse.Namespace, transport: TransportOptions, image: Image, stack: ExitStack
) -> Iterator[Finding]:
    server = EmbeddedServer(read(EmbeddedOptions, vars(flags)))
    stack.callback(server.close)
    started = time.monotonic()
    try:
        server.start()
    except StreamClientError as error:
        remedy = f"install it: {install_command('embedded')}; or name a server with --grpc_address"
        yield amiss("embedded server", error, remedy, needed=True)
        yield from skipped(("servable", "probe"), "no server")
        return
    yield ok("embedded server", f"started in {time.monotonic() - started:.1f} s")
    yield machine.precision(server.precisions, server.default_precision)
    yield from _server(flags, replace(transport, address=server.address), image)


def _server(flags: argparse.Namespace, transport: TransportOptions, image: Image) -> Iterator[Finding]:
    for each in transport.singly():
        yield from ServerChecks(each, image, flags.request_timeout).run()
        if flags.stock_client:
            yield from StockClientChecks(each, image, flags.request_timeout).run()


def _pattern() -> Image:
    return TestPattern(640, 360).paint(FrameCode(0, time.time_ns() // 1000))


def _write(path: Path, findings: Sequence[Finding]) -> None:
    rows = [
        {"check": finding.check, "status": finding.status, "found": finding.found, "remedy": _remedy(finding)}
        for finding in findings
    ]
    values = {"failed": any(finding.status == "failed" for finding in findings)}
    try:
        path.write_text(json.dumps({**values, "findings": rows}, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", option="json") from error
