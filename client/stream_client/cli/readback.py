"""``ovms-stream-client readback``: a stream or a file in, a table and JSON out."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from stream_client.cli.messages import error_line
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.errors import SourceError, StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.distribution import Distribution
from stream_client.options import RunOptions
from stream_client.sources.base import Source
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.test_source.code import read_code
from stream_client.test_source.readings import ReadbackReport, Reading, Tally
from stream_client.util.clock import SteadyClock
from stream_client.util.redact import redact
from stream_client.util.settings import read
from stream_client.util.table import table

_FLAGS = {"source": "input"}
_EPILOG = """
Start it while a run with --input_stream testsrc publishes, for instance:

  ovms-stream-client --input_stream testsrc:1280x720@30 --output_stream rtsp://host:8554/live
  ovms-stream-client readback rtsp://host:8554/live --limit_stream_duration 30

Latency is the difference of two wall clocks: on two machines, keep them synchronized (NTP, PTP).
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``readback``."""
    parser = Parser(
        "ovms-stream-client readback",
        "Read the codes of a test pattern back: true latency, loss, duplicates and order.",
        _EPILOG,
    )
    parser.add_argument("input", help="URL (rtsp://, http://) or video file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    add_settings(parser.add_argument, SourceOptions, "rtsp_transport", "rtsp_insecure", "source_timeout")
    limits = ("limit_frames", "limit_stream_duration", "reconnect_timeout")
    add_settings(parser.add_argument, RunOptions, *limits, reconnect_timeout=0.0)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Read until the end, a limit or a signal; 0 with a report, 1 when no code was read, 2 for bad arguments."""
    flags = build_parser().parse_args(arguments)
    name = redact(flags.input)
    try:
        run = read(RunOptions, vars(flags))
        source = open_source(flags.input, read(SourceOptions, vars(flags)), reconnect_timeout=run.reconnect_timeout)
        info, report = _read(source, run.limit_frames, run.limit_stream_duration)
    except StreamClientError as error:
        print(f"error: {error_line(error, flags=_FLAGS)}", file=sys.stderr)
        return 1
    if not report.read:
        print(
            f"error: none of the {report.frames} frames of {name} has a readable code: "
            "is it the test pattern (--input_stream testsrc)?",
            file=sys.stderr,
        )
        return 1
    print(report_table(name, info, report))
    if flags.json is not None:
        try:
            flags.json.write_text(json.dumps(report_json(name, info, report), indent=2) + "\n", "utf-8")
        except OSError as error:
            print(f"error: cannot write {flags.json}: {error.strerror} (--json)", file=sys.stderr)
            return 1
    return 0


def report_table(name: str, info: StreamInfo, report: ReadbackReport) -> str:
    """For people: counts, then times in milliseconds."""
    counts = [
        ("frames read", report.read),
        ("numbers", f"{report.first} to {report.last}"),
        ("lost", report.lost),
        ("duplicates", report.duplicates),
        ("out of order", report.out_of_order),
        ("unreadable", report.unreadable),
        ("not taken in time", report.unread),
        ("restarts of the source", report.restarts),
    ]
    lines = [f"{name}, {info.width}x{info.height}", ""]
    lines.append("\n".join(f"{what:24}{count}" for what, count in counts))
    times = [
        _row(what, values)
        for what, values in (("latency", report.latency), ("timing error", report.timing_error))
        if values is not None
    ]
    header = ("milliseconds", "mean", "min", "p50", "p90", "p95", "p99", "max")
    return "\n".join([*lines, "", table(header, times)])


def report_json(name: str, info: StreamInfo, report: ReadbackReport) -> dict[str, object]:
    """For programs: the report's own names; times in seconds."""
    return {"input": name, "width": info.width, "height": info.height, "intact": report.intact, **asdict(report)}


def _row(what: str, values: Distribution) -> tuple[str, ...]:
    in_ms = values.times(1000)
    columns = (in_ms.mean, in_ms.minimum, in_ms.p50, in_ms.p90, in_ms.p95, in_ms.p99, in_ms.maximum)
    return what, *(f"{value:.1f}" for value in columns)


def _read(source: Source, limit_frames: int, limit_seconds: float) -> tuple[StreamInfo, ReadbackReport]:
    """Read to the end. A source that fails after its first frame ends the reading, too."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        source.interrupt()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    timer: threading.Timer | None = None
    try:
        info = source.open()
        if limit_seconds:
            timer = threading.Timer(limit_seconds, source.interrupt)
            timer.start()
        return info, _tally(source, info, limit_frames)
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()
        source.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _tally(source: Source, info: StreamInfo, limit_frames: int) -> ReadbackReport:
    tally, clock = Tally(), SteadyClock()
    count = 0
    while not limit_frames or count < limit_frames:
        try:
            frame = source.read()
        except SourceError as error:
            if not count:
                raise
            print(f"the stream broke off: {error_line(error, flags=_FLAGS)}", file=sys.stderr)
            break
        if frame is None:
            break
        count += 1
        arrived = clock.at(frame.captured) if info.live else None
        tally.add(Reading(frame.index, read_code(frame.image), arrived, frame.timestamp))
    return tally.report()
