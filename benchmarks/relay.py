"""Glass to glass through an RTSP server and back, by the number in each frame: a relay of ours, GStreamer's, ffmpeg's.

    python -m benchmarks.relay [--size 1280x720] [--rate 30] [--seconds 20] [--sound] [--json FILE]

A source paints its time into each frame and publishes it to GStreamer's RTSP server (the one of the tests). A relay
reads that and publishes what it makes of it; `readback` reads the codes at the far end. `ours` is the client with a
pass-through graph server, whose CPU counts, too; in a second row with `--wire i420`, so that frames stay as they were
decoded. The peers decode and encode, without a model server: GStreamer with
`rtspsrc latency=0 … x264enc tune=zerolatency … rtspclientsink`, ffmpeg with its options for low latency, and without.
CPU is that of a second of the relay. `--sound`: all of it with AAC beside the frames. The ratios are ours over theirs,
the first row first.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from tests.conftest import ROOT
from tests.support.needs import need
from tests.support.rtsp_server import SYSTEM_PYTHON, RtspServer

CLIENT = [sys.executable, str(ROOT / "client" / "client.py")]
OURS = {"ours": [], "ours, i420": ["--wire", "i420"]}
"""Flags of the client."""
PEERS = ("gstreamer", "ffmpeg, tuned", "ffmpeg")
WARM = 6
"""Seconds that a relay runs before it is measured."""
SOURCE = """
import sys, time
from fractions import Fraction
from stream_client.frames import Frame, Result, StreamInfo
from stream_client.sinks.factory import open_sink
from stream_client.test_source.code import FrameCode
from stream_client.test_source.pattern import TestPattern
from tests.support.claps import Tones
width, height, rate, sound, url = *map(int, sys.argv[1:5]), sys.argv[5]
pattern, sink, tones, index = TestPattern(width, height), open_sink(url), Tones() if sound else None, 0
track = None if tones is None else tones.track
sink.open(StreamInfo("source", width, height, Fraction(rate), live=True, sound=track))
began = time.monotonic()
while True:
    time.sleep(max(0.0, began + index / rate - time.monotonic()))
    image = pattern.paint(FrameCode(index, round(1e6 * time.time())))
    frame = Frame(index, index, image, time.monotonic())
    if tones is not None:
        tones.play(index / rate)
    sink.write(Result(frame, image, time=index / rate))
    index = max(index + 1, int((time.monotonic() - began) * rate))
"""

GSTREAMER = """
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch(sys.argv[1])
if "k.sink_0" in sys.argv[1]:  # by itself it sends AAC as LATM
    sound = pipeline.get_by_name("k").get_static_pad("sink_0")
    sound.set_property("payloader", Gst.ElementFactory.make("rtpmp4gpay"))
pipeline.set_state(Gst.State.PLAYING)
pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR | Gst.MessageType.EOS)
"""


@contextmanager
def running(command: Sequence[str]) -> Iterator[int]:
    """A process, by its id, as long as it is needed."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def gstreamer(source: str, target: str, sound: bool) -> list[str]:
    """Its relay."""
    pipeline = f"rtspsrc name=s latency=0 protocols=tcp location={source} "
    if sound:  # its sink announces what was linked last first, and the server wants the frames first
        pipeline += "s. ! application/x-rtp,media=audio ! rtpmp4gdepay ! aacparse ! k.sink_0 "
    pipeline += "s. ! application/x-rtp,media=video ! rtph264depay ! avdec_h264 ! videoconvert "
    pipeline += "! x264enc tune=zerolatency speed-preset=veryfast key-int-max=30 ! h264parse ! k. "
    pipeline += f"rtspclientsink name=k latency=0 protocols=tcp location={target}"
    return [SYSTEM_PYTHON, "-c", GSTREAMER, pipeline]


def ffmpeg(source: str, target: str, *, tuned: bool) -> list[str]:
    """Its relay."""
    before = ["-fflags", "nobuffer", "-flags", "low_delay", "-probesize", "5000", "-analyzeduration", "0"]
    after = ["-tune", "zerolatency", "-g", "30", "-flush_packets", "1"]
    command = ["ffmpeg", "-v", "error", *(before if tuned else []), "-rtsp_transport", "tcp", "-i", source]
    command += ["-c:v", "libx264", "-preset", "veryfast", *(after if tuned else []), "-c:a", "copy"]
    return [*command, "-f", "rtsp", "-rtsp_transport", "tcp", target]


def measure(way: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One relay: latency by number, and CPU."""
    codec = "=aac" if options.sound else ""
    report = folder / "readback.json"
    report.unlink(missing_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(RtspServer(publish=[f"in{codec}", f"out{codec}"]))
        size = [*options.size.split("x"), str(options.rate), str(int(options.sound))]
        stack.enter_context(running([sys.executable, "-c", SOURCE, *size, server.url("publish/in")]))
        source, target = server.url("in"), server.url("publish/out")
        _read(source, "--limit_frames", "1")  # it is there
        pids = []
        if way in OURS:
            arguments = ("--model_name", "passThrough", "--model_path", str(ROOT / "graphs" / "pass_through"))
            model = stack.enter_context(EmbeddedServer(EmbeddedOptions(arguments=arguments)))
            pids.append(model.pid)
            command = [*CLIENT, "--grpc_address", model.address, "--model_name", "passThrough"]
            command += ["--input_stream", source, "--output_stream", target, *OURS[way]]
        elif way == "gstreamer":
            command = gstreamer(source, target, options.sound)
        else:
            command = ffmpeg(source, target, tuned=way == "ffmpeg, tuned")
        pids.append(stack.enter_context(running(command)))
        time.sleep(WARM)
        before, began = sum(map(_cpu, pids)), time.monotonic()
        _read(server.url("out"), "--limit_stream_duration", str(options.seconds), "--json", str(report))
        cpu = (sum(map(_cpu, pids)) - before) / (time.monotonic() - began)
    found: dict[str, Any] = {"read": 0, "lost": 0, "latency": None}
    if report.exists():
        found = json.loads(report.read_text())
    latency = found["latency"] or {"p50": None, "p99": None}
    counts = {name: found[name] for name in ("read", "lost")}
    return {"way": way, "p50": latency["p50"], "p99": latency["p99"], "cpu": cpu, **counts}


def _read(url: str, *flags: str) -> None:
    read = [*CLIENT, "readback", url, "--reconnect_timeout", "20", *flags]
    subprocess.run(read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure each relay, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--sound", action="store_true", help="AAC beside the frames")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need(("ffmpeg",), elements=("rtspclientsink", "x264enc", "avdec_h264", "rtpmp4gpay"))
    rows = []
    print("way               p50 ms    p99 ms  CPU %   read  lost")
    with tempfile.TemporaryDirectory() as folder:
        for way in (*OURS, *PEERS):
            row = measure(way, options, Path(folder))
            rows.append(row)
            times = "".join("         -" if row[key] is None else f"{1000 * row[key]:10.1f}" for key in ("p50", "p99"))
            print(f"{way:14}{times}{100 * row['cpu']:7.0f}{row['read']:7}{row['lost']:6}", flush=True)
    found = {row["way"]: row for row in rows}
    ratios = {
        f"{prefix}{key}_of_{peer.replace(', ', '_')}": found[ours][key] / found[peer][key]
        for ours, prefix in zip(OURS, ("", "i420_"), strict=True)
        for peer in PEERS
        for key in ("p50", "cpu")
        if found[ours][key] and found[peer][key]
    }
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        details = {"sound": options.sound, "environment": environment, "rows": rows}
        options.json.write_text(json.dumps({"ratios": ratios, **details}, indent=2))


if __name__ == "__main__":
    main()
