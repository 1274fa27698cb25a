"""True latency of testsrc -> graph server -> RTSP -> readback, and what the client's metrics say of it.

    python benchmarks/glass_to_glass.py [--size 640x360] [--rates 30 15] [--seconds 14] [--json FILE]

`metrics` is the client's latency, capture to delivery, as `--benchmark` reports it; `readback` is from painting a
frame to its image decoded at the far end, by the code in it. The difference is what lies behind delivery: encoding,
the RTSP server (GStreamer's, the one of the tests), decoding; issue 5 wants it within one frame's time. The peer reads
the same stream at the same time with a plain PyAV loop, with FFmpeg's options for low latency; the ratio
`latency_at_N` is readback's p50 over the peer's, at N frames a second.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client_bench import echo_server, report_ratios

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {"metrics_p50": 13, "readback_p50": 14, "peer_p50": 10}
CLIENT = [sys.executable, str(ROOT / "client" / "client.py")]

PEER = """
import json, sys, time
import av
from stream_client.monitoring.distribution import distribution
from stream_client.test_source.code import read_code
url, frames = sys.argv[1], int(sys.argv[2])
options = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay", "max_delay": "0"}
container = None
while container is None:
    try:
        container = av.open(url, options=options, timeout=10)
    except (OSError, av.error.FFmpegError):
        time.sleep(0.1)  # nobody publishes yet
with container:
    container.streams.video[0].thread_type = "SLICE"
    latencies = []
    for image in container.decode(video=0):
        arrived = time.time()
        if code := read_code(image.to_ndarray(format="rgb24")):
            latencies.append(arrived - code.time / 1e6)
        if len(latencies) == frames:
            break
print(json.dumps(distribution(latencies).p50))
"""


@contextmanager
def rtsp_server() -> Iterator[str]:
    """GStreamer's RTSP server, which takes and plays ``live``: its port."""
    command = ["/usr/bin/python3", str(ROOT / "tests" / "support" / "gst_rtsp_server.py"), "--publish", "live"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


def measure(size: str, rate: int, seconds: int, folder: Path) -> dict[str, Any]:
    """One run: the client publishes while readback and the peer watch."""
    with echo_server() as server, rtsp_server() as port:
        url = f"rtsp://127.0.0.1:{port}"
        run = [*CLIENT, "--grpc_address", server.address, "--model_name", "passThrough"]
        run += ["--input_stream", f"testsrc:{size}@{rate}", "--limit_frames", str(seconds * rate)]
        run += ["--output_stream", f"{url}/publish/live", "--max_inflight", "4"]
        run += ["--benchmark", "--benchmark_until", "end", "--report", str(folder / "report.json")]
        frames = str((seconds - 8) * rate)  # the rest is for starting, so that all watch the same frames
        read = [*CLIENT, "readback", f"{url}/live", "--reconnect_timeout", "20", "--limit_frames", frames]
        read += ["--json", str(folder / "readback.json")]
        publishing = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        watching = subprocess.Popen(read, stdout=subprocess.DEVNULL)
        peer = subprocess.run(
            [sys.executable, "-c", PEER, f"{url}/live", frames], stdout=subprocess.PIPE, text=True, check=True
        )
        watching.wait()
        errors = publishing.communicate()[1]
    if watching.returncode or publishing.returncode:
        sys.exit(errors)
    readback = json.loads((folder / "readback.json").read_text())
    metrics = json.loads((folder / "report.json").read_text())["measurement"]["latency"]["p50"]
    counts = {name: readback[name] for name in ("read", "lost", "duplicates", "out_of_order", "unreadable", "unread")}
    latency = readback["latency"]["p50"]
    return {
        "rate": rate,
        "metrics_p50": metrics,
        "readback_p50": latency,
        "peer_p50": json.loads(peer.stdout),
        "difference_in_frame_times": (latency - metrics) * rate,
        **counts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--rates", type=int, nargs="+", default=[30, 15])
    parser.add_argument("--seconds", type=int, default=14)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.seconds < 10:
        parser.error("--seconds: at least 10, of which 8 are for starting")
    rows = []
    print("frames/s  metrics p50  readback p50  peer p50  difference/frame time  read  lost  duplicates  unread")
    for rate in options.rates:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(options.size, rate, options.seconds, Path(folder))
        rows.append(row)
        times = "".join(f"{1000 * row[name]:{width}.1f}" for name, width in COLUMNS.items())
        print(
            f"{rate:8}{times}{row['difference_in_frame_times']:23.2f}"
            f"{row['read']:6}{row['lost']:6}{row['duplicates']:12}{row['unread']:8}"
        )
    ratios = {f"latency_at_{row['rate']}": row["readback_p50"] / row["peer_p50"] for row in rows}
    report_ratios(ratios, options.json, rows=rows)


if __name__ == "__main__":
    main()
