"""What the client costs: our client against a plain loop over tritonclient, same server, same file.

    python benchmarks/client_overhead.py [--json FILE] [--frames 300] [--rounds 5] [--rows ours "ours, metrics"]

A 1920x1080 file is sent to an echo graph and comes back; nothing is written. The peer is a loop over
tritonclient's public API as its documentation shows it: OpenCV capture, set_data_from_numpy,
async_stream_infer, as_numpy, with 4 frames in flight as OVMS's demo has. It turns OpenCV's BGR into RGB, since
models want what our client sends; a second peer leaves that out, as an echo server does not mind, and a third
has 8 frames in flight. Ours goes through shared memory, which the server offers and our client uses by
itself; a second row has its metrics on and scraped every second, a third goes through gRPC like the peer. Ours
finds its window itself, which is its default. Rounds alternate. Ratios are ours over the peer's: throughput in
frames a second, CPU in seconds of the client's process a frame; those of the metrics are on over off, the median
of the rounds' own.

Copies of a frame in our client, by what makes them: FFmpeg converts it to RGB into its buffer (the frame
itself); one copy puts it into shared memory; the response's frame is a view. Through gRPC: the system copies the
frame into the socket, and the answer out of it into the array that the response's frame is a view on. The peer:
capture, color conversion, tobytes, protobuf's message, its serialisation, gRPC out and in, protobuf's parsing, and
as_numpy is a view.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from client_bench import ENVIRONMENT, echo_server, make_clip, report_ratios

OURS = """
import resource, sys, time
from stream_client import RunOptions, StreamClient, TransportOptions
path, address, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = StreamClient(path, (), TransportOptions(address, model_name="passThrough"),
                      options=RunOptions(limit_frames=frames))
before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
summary = client.run()
seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(summary.ledger.delivered / seconds, cpu / summary.ledger.delivered, after.ru_maxrss)
"""

METRICS = (
    """
import threading, urllib.request
from stream_client.monitoring.prometheus import Metrics, MetricsServer
from stream_client.monitoring.statistics import Statistics
tally, over = Statistics(), threading.Event()
served = MetricsServer(Metrics([tally]), port=0)
def scrape():
    while not over.wait(1):
        urllib.request.urlopen(served.url).read()
threading.Thread(target=scrape, daemon=True).start()
"""
    + OURS.replace("options=", "observers=[tally], options=")
    + """
over.set()
served.close()
"""
)

PEER = """
import resource, sys, threading, time
import cv2
import tritonclient.grpc as grpcclient
path, address, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = grpcclient.InferenceServerClient(address)
slots, done, count = threading.Semaphore(WINDOW), threading.Event(), 0
def callback(result, error):
    global count
    result.as_numpy("output")
    count += 1
    slots.release()
    if count == frames:
        done.set()
before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
client.start_stream(callback)
capture = cv2.VideoCapture(path)
for _ in range(frames):
    slots.acquire()
    image = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    value = grpcclient.InferInput("image", image.shape, "UINT8")
    value.set_data_from_numpy(image)
    client.async_stream_infer("passThrough", [value])
done.wait()
client.stop_stream()
seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(count / seconds, cpu / count, after.ru_maxrss)
"""

SCRIPTS = {
    "ours": OURS,
    "ours, metrics": METRICS,
    "ours, gRPC": OURS.replace('"passThrough")', '"passThrough", shared_memory=False)'),
    "peer": PEER.replace("WINDOW", "4"),
    "peer, BGR": PEER.replace("WINDOW", "4").replace(
        "cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)", "capture.read()[1]"
    ),
    "peer, 8": PEER.replace("WINDOW", "8"),
}
COMPARED = (
    ("", "ours", "peer"),
    ("_of_grpc", "ours, gRPC", "peer"),
    ("_of_grpc_against_bgr", "ours, gRPC", "peer, BGR"),
    ("_of_grpc_against_8", "ours, gRPC", "peer, 8"),
)


def measure(script: str, *arguments: str) -> tuple[float, float, float]:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    rate, cpu, memory = map(float, done.stdout.split())
    return rate, cpu, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=SCRIPTS, default=list(SCRIPTS), help="measure these only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.mp4"
        make_clip(clip, 1920, 1080, options.frames)
        rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in options.rows}
        # A loopback port, as a server of one's own has: the embedded server's socket is no place for other clients.
        with echo_server("--port", "0") as server:
            for turn in range(options.rounds):
                for name in options.rows[:: -1 if turn % 2 else 1]:
                    rows[name].append(measure(SCRIPTS[name], str(clip), server.address, str(options.frames)))
    middle = {
        name: [statistics.median(column) for column in zip(*values, strict=True)] for name, values in rows.items()
    }
    print(f"{'':14}{'frames/s':>10}{'CPU ms/frame':>14}{'peak MB':>9}")
    for name, (rate, cpu, memory) in middle.items():
        print(f"{name:14}{rate:10.1f}{1000 * cpu:14.1f}{memory / 1024:9.0f}")
    ratios = {}
    for suffix, us, peer in COMPARED:
        if {us, peer} <= rows.keys():
            ratios["throughput" + suffix] = middle[us][0] / middle[peer][0]
            ratios["cpu" + suffix] = middle[us][1] / middle[peer][1]
    if {"ours", "ours, metrics"} <= rows.keys():
        for number, name in enumerate(("metrics_throughput", "metrics_cpu")):
            pairs = zip(rows["ours, metrics"], rows["ours"], strict=True)
            ratios[name] = statistics.median(on[number] / off[number] for on, off in pairs)
    ours = {
        f"{name}, {what}": value
        for name, values in middle.items()
        if name.startswith("ours")
        for what, value in zip(("frames_per_second", "CPU seconds a frame", "peak kB"), values, strict=True)
    }
    report_ratios(ratios, options.json, ours=ours, rounds=rows)


if __name__ == "__main__":
    main()
