"""What frames cost on their way: raw, as JPEG and as H.264, with pictures or data back.

    python benchmarks/wire.py [--seconds 10] [--rows "raw" "h264, data back" "peer"] [--link] [--json FILE]

A camera's 1920x1080 at 30 frames a second (H.264, 4 Mbit/s, made of the demo's clip), read in real time. The server's
graphs have no networks: they decode, and send the frame or a small tensor back. So the table shows the wire, and not
what is done at its end. ``bytes`` are of messages, each way, for each frame; nothing goes through shared memory but in
the row that says so. ``CPU`` is the client's process, for each frame of the source. Latency is from the moment when the
frame was there until its result was delivered. Where data comes back, nobody looks at pictures.

The peer is a loop over tritonclient's public API as its documentation shows it, with OpenCV's capture and 4 requests in
flight. It sends raw frames and gets them back. ``--link`` puts a line of 100 Mbit/s and 20 ms there and back between
client and server, in network namespaces; it needs root and iproute2.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from client_bench import ENVIRONMENT, report_ratios

from graph_server.assets import ensure_clip

RATE, WIDTH, HEIGHT = 30, 1920, 1080
PROJECT = Path(__file__).resolve().parents[1]
SERVER, CLIENT = ("wire-server", "10.97.0.1"), ("wire-client", "10.97.0.2")

DECODER = """
max_queue_size: 4
input_stream: "OVMS_PY_TENSOR:encoded_frame"
node { calculator: "FrameDecoderCalculator" input_stream: "ENCODED:encoded_frame" output_stream: "IMAGE:frame" }
"""
GRAPHS = {
    "picture": DECODER
    + """
output_stream: "OVMS_PY_TENSOR:output"
node { calculator: "FrameEncoderCalculator" input_stream: "IMAGE:frame" output_stream: "ENCODED:output" }
""",
    "data": DECODER
    + """
output_stream: "TENSOR:output"
node {
  calculator: "ImageToTensorCalculator" input_stream: "IMAGE:frame" output_stream: "TENSORS:tensors"
  node_options: { [type.googleapis.com/mediapipe.ImageToTensorCalculatorOptions] {
    output_tensor_width: 32 output_tensor_height: 32 output_tensor_float_range { min: 0 max: 1 }
  } }
}
node {
  calculator: "SplitTensorVectorCalculator" input_stream: "tensors" output_stream: "output"
  node_options: { [type.googleapis.com/mediapipe.SplitVectorCalculatorOptions] {
    ranges { begin: 0 end: 1 } element_only: true
  } }
}
""",
}

OURS = """
import json, resource, sys, time
from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.monitoring.statistics import Statistics
from stream_client.sources.file import FileSource
path, address, frames, settings = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
pictures, tally, ages = settings.pop("pictures"), Statistics(), []
client = StreamClient(FileSource(path, realtime=True, loop=True), (), TransportOptions(address, **settings),
                      options=RunOptions(limit_frames=frames), observers=[tally], pictures=pictures)
client.on_result(lambda result: ages.append((result.frame.index, time.time() - result.frame.timestamp / 1e6)))
before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
summary = client.run()
seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
found = tally.snapshot()
print(json.dumps({
    "ages": [age for index, age in ages if index >= 30], "delivered": summary.ledger.delivered, "seconds": seconds,
    "sent": found.bytes_sent, "received": found.bytes_received, "entered": summary.ledger.entered,
    "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
}))
"""

PEER = """
import json, resource, sys, threading, time
import cv2
import tritonclient.grpc as grpcclient
path, address, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = grpcclient.InferenceServerClient(address)
slots, done, ages, received = threading.Semaphore(4), threading.Event(), [], 0
def callback(result, error):
    global received
    received += result.as_numpy("output").nbytes
    number = len(ages)
    ages.append(time.monotonic() - (started + number / 30))
    slots.release()
    if len(ages) == frames:
        done.set()
client.start_stream(callback)
capture = cv2.VideoCapture(path)
before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
sent = 0
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
    sent += image.nbytes
done.wait()
seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
client.stop_stream()
print(json.dumps({"ages": ages[30:], "delivered": len(ages), "seconds": seconds, "sent": sent, "received": received,
                  "entered": frames, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}))
"""

RAW = {"model_name": "passThrough", "shared_memory": False, "pictures": True}
ROWS: dict[str, dict[str, Any] | None] = {
    "raw": RAW,
    "raw, shared memory": RAW | {"shared_memory": True},
    "jpeg": {"wire": "jpeg", "model_name": "picture", "pictures": True},
    "jpeg, data back": {"wire": "jpeg", "model_name": "data", "pictures": False},
    "h264": {"wire": "h264", "model_name": "picture", "pictures": True},
    "h264, data back": {"wire": "h264", "model_name": "data", "pictures": False},
    "peer": None,
}


def make_camera_clip(path: Path, seconds: float) -> None:
    """The demo's clip as a camera would send it: no B-frames, a key frame every two seconds."""
    with av.open(str(ensure_clip())) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "g": str(2 * RATE), "sc_threshold": "0"}
        for index, frame in enumerate(source.decode(video=0)):
            if index >= seconds * RATE:
                break
            picture = frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))


def write_config(folder: Path) -> Path:
    """A configuration of graphs without networks."""
    entries = [{"config": {"name": "passThrough", "base_path": str(PROJECT / "graphs" / "pass_through")}}]
    for name, text in GRAPHS.items():
        (folder / name).mkdir()
        (folder / name / "graph.pbtxt").write_text(text)
        entries.append({"config": {"name": name, "base_path": str(folder / name)}})
    path = folder / "config.json"
    path.write_text(json.dumps({"model_config_list": entries}))
    return path


@contextmanager
def line() -> Iterator[None]:
    """Two namespaces with a line between them."""
    with ExitStack() as stack:
        for name, _ in (SERVER, CLIENT):
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
        ends = ("wire-a", "wire-b")
        peer = ("type", "veth", "peer", ends[1], "netns", CLIENT[0])
        subprocess.run(["ip", "link", "add", ends[0], "netns", SERVER[0], *peer], check=True)
        for (name, address), end in zip((SERVER, CLIENT), ends, strict=True):
            inside = ["ip", "-n", name]
            subprocess.run([*inside, "address", "add", f"{address}/24", "dev", end], check=True)
            for each in (end, "lo"):
                subprocess.run([*inside, "link", "set", each, "up"], check=True)
            shape_line([*within(name), "tc", "qdisc", "add", "dev", end, "root"])
        yield


def shape_line(add: Sequence[str]) -> None:
    """Limit what leaves a device; a kernel without netem cannot delay it."""
    distant = [*add, "netem", "delay", "10ms", "rate", "100mbit", "limit", "1000"]
    if subprocess.run(distant, stderr=subprocess.DEVNULL, check=False).returncode:
        print("this kernel has no netem: 100 Mbit/s, without the 20 ms", file=sys.stderr)
        subprocess.run([*add, "tbf", "rate", "100mbit", "burst", "64kb", "latency", "400ms"], check=True)


def within(name: str) -> list[str]:
    return ["ip", "netns", "exec", name]


@contextmanager
def serving(config: Path, before: Sequence[str], address: str) -> Iterator[str]:
    """The address of a graph server in a process of its own."""
    command = [*before, sys.executable, "-m", "graph_server", "--exit_with_stdin", "--config_path", str(config)]
    command += ["--grpc_bind_address", address, "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        yield str(ready["grpc"])
        server.stdin.close()


def measure(name: str, clip: Path, address: str, frames: int, before: Sequence[str]) -> dict[str, Any]:
    """One client's run."""
    settings = ROWS[name]
    script = PEER if settings is None else OURS
    command = [*before, sys.executable, "-c", script, str(clip), address, str(frames), json.dumps(settings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=ENVIRONMENT)
    got: dict[str, Any] = json.loads(done.stdout)
    ages = sorted(got.pop("ages")) or [float("nan")]
    got |= {f"p{round(100 * share)}": ages[min(len(ages) - 1, int(share * len(ages)))] for share in (0.5, 0.95)}
    got |= {f"{way}_a_frame": got[way] / max(1, got["delivered"]) for way in ("sent", "received")}
    return got | {"rate": got["delivered"] / got["seconds"], "cpu_a_frame": got["cpu"] / got["entered"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--link", action="store_true", help="100 Mbit/s and 20 ms between client and server")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.link and os.geteuid():
        parser.error("--link makes network namespaces: run it as root")
    found: dict[str, dict[str, Any]] = {}
    print(f"{'':20}{'frames/s':>9}{'kB there':>10}{'kB back':>9}{'CPU ms':>8}{'p50 ms':>8}{'p95 ms':>8}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clip = folder / "camera.mp4"
        make_camera_clip(clip, options.seconds)
        if options.link:
            stack.enter_context(line())
        sides = (within(SERVER[0]), within(CLIENT[0])) if options.link else ([], [])
        bound = SERVER[1] if options.link else "127.0.0.1"
        address = stack.enter_context(serving(write_config(folder), sides[0], bound))
        for name in options.rows:
            got = found[name] = measure(name, clip, address, round(options.seconds * RATE), sides[1])
            sizes = f"{got['sent_a_frame'] / 1000:10.1f}{got['received_a_frame'] / 1000:9.1f}"
            times = f"{1000 * got['cpu_a_frame']:8.1f}{1000 * got['p50']:8.0f}{1000 * got['p95']:8.0f}"
            print(f"{name:20}{got['rate']:9.1f}{sizes}{times}", flush=True)
    ratios = {}
    for us, them in (("h264, data back", "raw"), ("h264, data back", "peer"), ("jpeg", "peer"), ("raw", "peer")):
        if {us, them} <= found.keys():
            key = f"{us} over {them}".replace(", ", " ").replace(" ", "_")
            total = {name: found[name]["sent_a_frame"] + found[name]["received_a_frame"] for name in (us, them)}
            ratios[f"bytes_{key}"] = total[us] / total[them] if total[them] else float("nan")
            for what in ("cpu_a_frame", "p50", "p95"):
                ratios[f"{what}_{key}"] = found[us][what] / found[them][what]
    ours = {
        f"{name}, {what}": row[what]
        for name, row in found.items()
        if name != "peer"
        for what in ("sent_a_frame", "received_a_frame", "cpu_a_frame", "p50", "p95")
    }
    report_ratios(ratios, options.json, ours=ours, rows=found)


if __name__ == "__main__":
    main()
