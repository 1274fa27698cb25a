"""How old a live frame is when it is delivered, as the server gets slower than the source.

    python benchmarks/latency_under_load.py [--speeds 0.5 1 2] [--seconds 15] [--json FILE]

A 640x480 source of 30 frames a second, a graph server that lets through a fixed number of requests a second
(``--fault rate=N``): half, once and twice the source's rate. The peer is a loop over tritonclient's public API as
its documentation shows it, with 4 requests in flight as OVMS's demo has; it sends every frame. Both read the same
file, of which frame i is there i/30 s after the start and no sooner; the age of a delivered frame is measured
from that moment, the first second left out. Ours drops what the server is too slow for; what is dropped is checked
against the frames that are missing in its output. Ratios are ours over the peer's. ``host ms`` is the longest
pause that the machine made meanwhile in a process that does nothing: a single frame's age can be more by so much.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from client_bench import HostPause, echo_server, make_clip, report_ratios

RATE = 30

OURS = """
import json, sys, time
from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.sources.file import FileSource
path, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
ages, indices = [], []
def take(result):
    indices.append(result.frame.index)
    ages.append((result.frame.index, time.time() - result.frame.timestamp / 1e6))
source = FileSource(path, realtime=True, loop=True)
options = RunOptions(limit_frames=round(seconds * 30))
client = StreamClient(source, (), TransportOptions(address, model_name="passThrough"), options=options)
client.on_result(take)
ledger = client.run().ledger
missing = ledger.entered - len(set(indices))
assert len(indices) == len(set(indices)) == ledger.delivered
assert missing == sum(ledger.dropped.values()) + sum(ledger.failed.values())
print(json.dumps({"ages": [age for index, age in ages if index >= 30], "delivered": ledger.delivered,
                  "dropped": dict(ledger.dropped), "failed": dict(ledger.failed)}))
"""

PEER = """
import json, sys, threading, time
import cv2
import tritonclient.grpc as grpcclient
path, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
frames = round(seconds * 30)
client = grpcclient.InferenceServerClient(address)
slots, done, ages = threading.Semaphore(4), threading.Event(), []
def callback(result, error):
    result.as_numpy("output")
    number = len(ages)
    ages.append(time.monotonic() - (started + number / 30))
    slots.release()
    if len(ages) == frames:
        done.set()
client.start_stream(callback)
capture = cv2.VideoCapture(path)
started = time.monotonic()
for number in range(frames):
    there, image = capture.read()
    if not there:
        capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        there, image = capture.read()
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    time.sleep(max(0.0, started + number / 30 - time.monotonic()))
    slots.acquire()
    value = grpcclient.InferInput("image", image.shape, "UINT8")
    value.set_data_from_numpy(image)
    client.async_stream_infer("passThrough", [value])
done.wait()
client.stop_stream()
print(json.dumps({"ages": ages[30:], "delivered": len(ages), "dropped": {}, "failed": {}}))
"""


def measure(script: str, clip: Path, speed: float, seconds: float) -> dict[str, Any]:
    """One client against a server of its own."""
    with echo_server("--fault", f"rate={speed * RATE:g}") as server:
        arguments = [sys.executable, "-c", script, str(clip), server.address, str(seconds)]
        done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--clients", choices=("ours", "peer"), nargs="+", default=["ours", "peer"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ratios: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    headings = "".join(f"{f'{name} ms':>9}" for name in ("p50", "p95", "p99", "max", "host"))
    print(f"{'speed':>6} {'':5}{headings}{'delivered':>11}  dropped")
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.mp4"
        make_clip(clip, 640, 480, 10 * RATE)
        for speed in options.speeds:
            found = {}
            for name in options.clients:
                with HostPause() as host:
                    got = measure({"ours": OURS, "peer": PEER}[name], clip, speed, options.seconds)
                ages = got.pop("ages")
                points = {f"p{100 * share:g}": percentile(ages, share) for share in (0.5, 0.95, 0.99)}
                found[name] = {**points, "max": max(ages), "host_pause": host.longest, **got}
                rows.append({"speed": speed, "client": name, **found[name]})
                columns = "".join(f"{1000 * value:9.0f}" for value in (*points.values(), max(ages), host.longest))
                print(f"{speed:6g} {name:5}{columns}{got['delivered']:11}  {sum(got['dropped'].values())}", flush=True)
            for point in ("p50", "p95", "p99") if len(found) == 2 else ():
                ratios[f"latency_{point}_at_{speed:g}x"] = found["ours"][point] / found["peer"][point]
    ours = {
        f"{point} at {row['speed']:g}x": row[point]
        for row in rows
        if row["client"] == "ours"
        for point in ("p50", "p95", "p99")
    }
    report_ratios(ratios, options.json, ours=ours, rows=rows)


if __name__ == "__main__":
    main()
