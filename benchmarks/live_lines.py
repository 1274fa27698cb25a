"""Age of what a viewer sees of a live stream over a line that is thinner than the stream.

    python -m benchmarks.live_lines [--size 1280x720] [--rate 25] [--shares 0.5 1 2] [--seconds 20] [--json FILE]

Sender and RTSP server (GStreamer's, of the tests) are in network namespaces of their own; `tc tbf` limits the line
between them. So it needs root, iproute2 and ffmpeg. What the frames want is measured first, on a line without a limit;
`share` is what the line carries of that. `ours` is the client, whose model is a function that gives each frame back.
`ffmpeg` encodes the same frames with its options for low latency, `ffmpeg, rate` also with a bit rate for this line,
set by hand. Both send for `--warm` seconds before a viewer beside the server begins to read: by the code in each frame,
which says when it was painted. The ratios are ours over ffmpeg's, or over what is named: a second, 0.1 s more than on
the line without a limit, 15 frames a second.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.support.needs import need
from tests.support.ports import free_port
from tests.support.rtsp_server import SCRIPT, SYSTEM_PYTHON
from tests.support.thin_line import ThinLine, thin_line

UNLIMITED = 1_000_000
"""kbit/s."""
OURS = """
import sys
from stream_client import RunOptions, StreamClient
from stream_client.testing import echo
size, rate, seconds, url = sys.argv[1:]
StreamClient(f"testsrc:{size}@{rate}", url, echo, options=RunOptions(limit_stream_duration=float(seconds))).run()
"""
PAINTER = """
import sys, time
from stream_client.test_source.code import FrameCode
from stream_client.test_source.pattern import TestPattern
width, height, rate, seconds = map(int, sys.argv[1:])
pattern, began, index = TestPattern(width, height), time.monotonic(), 0
while index < rate * seconds:
    time.sleep(max(0.0, began + index / rate - time.monotonic()))
    sys.stdout.buffer.write(pattern.paint(FrameCode(index, round(1e6 * time.time()))).tobytes())
    sys.stdout.buffer.flush()
    index = max(index + 1, int((time.monotonic() - began) * rate))  # a camera does not wait
"""


def ours(options: argparse.Namespace, url: str) -> str:
    """The command of the client."""
    arguments = [options.size, str(options.rate), str(options.warm + options.seconds + 10), url]
    return shlex.join([sys.executable, "-c", OURS, *arguments])


def ffmpeg(options: argparse.Namespace, url: str, limit: float | None = None) -> str:
    """The command of ffmpeg; ``limit`` in kbit/s."""
    width, height = options.size.split("x")
    seconds = str(options.warm + options.seconds + 10)
    painter = [sys.executable, "-c", PAINTER, width, height, str(options.rate), seconds]
    command = ["ffmpeg", "-v", "error", "-fflags", "nobuffer", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", options.size, "-framerate", str(options.rate), "-use_wallclock_as_timestamps", "1", "-i", "-"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    command += ["-g", str(options.rate)]
    if limit is not None:
        command += ["-maxrate", f"{limit:.0f}k", "-bufsize", f"{0.3 * limit:.0f}k"]
    command += ["-flush_packets", "1", "-muxdelay", "0", "-f", "rtsp", "-rtsp_transport", "tcp", url]
    return f"{shlex.join(painter)} | {shlex.join(command)}"


@contextmanager
def rtsp_server(line: ThinLine, port: int) -> Iterator[None]:
    """GStreamer's RTSP server on the server's side."""
    command = [*line.far.run, SYSTEM_PYTHON, str(SCRIPT), "--port", str(port), "--address", "0.0.0.0", "--publish", "x"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdout.readline()
            yield
        finally:
            server.stdin.close()


def measure(line: ThinLine, way: str, kbits: float, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One publisher on one line: what a viewer beside the server sees, and what was sent."""
    line.set_rate(f"{kbits:.0f}kbit")
    port, report = free_port(), folder / "readback.json"
    report.unlink(missing_ok=True)
    url = f"rtsp://{line.far.address}:{port}"
    sent = f"{url}/publish/x"
    limit = 0.9 * kbits if way == "ffmpeg, rate" else None
    command = ours(options, sent) if way == "ours" else ffmpeg(options, sent, limit)
    with rtsp_server(line, port):
        publisher = subprocess.Popen(
            [*line.near.run, "bash", "-c", command], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        try:
            time.sleep(options.warm)
            before, began = _sent_bytes(line), time.monotonic()
            read = [*line.far.run, sys.executable, str(ROOT / "client" / "client.py"), "readback", f"{url}/x"]
            read += [
                "--limit_stream_duration",
                str(options.seconds),
                "--reconnect_timeout",
                "20",
                "--json",
                str(report),
            ]
            subprocess.run(read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            rate = 8e-3 * (_sent_bytes(line) - before) / (time.monotonic() - began)
        finally:
            publisher.terminate()
            publisher.wait()
    found: dict[str, Any] = {"read": 0, "unreadable": 0, "latency": None}
    if report.exists():
        found = json.loads(report.read_text())
    latency = found["latency"] or {"p50": None, "p99": None}
    return {
        "way": way,
        "kbit": kbits,
        "sent_kbit": rate,
        "p50": latency["p50"],
        "p99": latency["p99"],
        "frames_per_second": found["read"] / options.seconds,
        "unreadable": found["unreadable"],
    }


def _sent_bytes(line: ThinLine) -> int:
    """On the sender's end of the line."""
    shown = subprocess.run(
        [*line.near.run, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return sum(int(words[9]) for words in map(str.split, shown[2:]) if words[0] != "lo:")


def main() -> None:
    """Measure each way on each line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    parser.add_argument("--seconds", type=int, default=20, help="of reading")
    parser.add_argument("--warm", type=int, default=15, help="seconds of sending before that")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need(("ip", "tc", "ffmpeg"), root=True, elements=())
    rows = []
    print("share  way             kbit/s      sent    p50 ms    p99 ms  frames/s  unreadable")

    def add(share: float | None, row: dict[str, Any]) -> None:
        rows.append({"share": share, **row})
        times = "".join("         -" if row[key] is None else f"{1000 * row[key]:10.0f}" for key in ("p50", "p99"))
        shown = "-" if share is None else f"{share:g}"
        print(
            f"{shown:>5}  {row['way']:14}{row['kbit']:8.0f}{row['sent_kbit']:10.0f}{times}"
            f"{row['frames_per_second']:10.1f}{row['unreadable']:12}",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder, thin_line() as line:
        for way in ("ours", "ffmpeg"):
            add(None, measure(line, way, UNLIMITED, options, Path(folder)))
        wanted = rows[0]["sent_kbit"]
        for share in options.shares:
            for way in ("ours", "ffmpeg", "ffmpeg, rate"):
                add(share, measure(line, way, share * wanted, options, Path(folder)))
    p99 = {(row["share"], row["way"]): row["p99"] for row in rows}
    ratios = {
        f"p99_at_{share:g}{way.removeprefix('ffmpeg').replace(', ', '_of_')}": p99[share, "ours"] / p99[share, way]
        for share in options.shares
        for way in ("ffmpeg", "ffmpeg, rate")
        if p99[share, "ours"] and p99[share, way]
    }
    unbounded = rows[0]["p99"]
    for row in rows[2:]:
        if row["way"] == "ours" and row["p99"] is not None:
            ratios[f"p99_at_{row['share']:g}_of_1_s"] = row["p99"]
            if unbounded is not None:
                ratios[f"p99_at_{row['share']:g}_over_unlimited_of_0.1_s"] = (row["p99"] - unbounded) / 0.1
            ratios[f"frames_at_{row['share']:g}_of_15"] = row["frames_per_second"] / 15
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        report = {"ratios": ratios, "environment": environment, "wanted_kbit": wanted, "rows": rows}
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
