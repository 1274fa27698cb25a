"""CPU a frame of further streams in one process over that of the first.

    python -m benchmarks.streams [--streams 16] [--size 640x480] [--rate 15] [--seconds 20] [--rounds 3] [--json FILE]

Each stream is the test pattern at its rate, through one graph server that passes frames on, to no output. CPU is that
of the process with the streams, user and system, once all of them deliver, so that other work of the machine hardly
changes it. One stream and many alternate; the ratio is that of the medians.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from stream_client.benchmark.environment import environment
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from tests.support.graph_server import ECHO

OURS = """
import json, resource, sys, time
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan
address, pattern, streams, seconds = sys.argv[1:]
common = {"grpc_address": address, "model_name": "passThrough", "input_stream": pattern, "output_stream": "none"}
def now(fleet):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, sum(stream.delivered for stream in fleet.status())
with Fleet() as fleet:
    assert not fleet.apply([StreamPlan(f"camera{number}", common) for number in range(int(streams))])
    while not all(stream.delivered > 20 for stream in fleet.status()):
        time.sleep(0.2)
    begun = now(fleet)
    time.sleep(float(seconds))
    ended = now(fleet)
print(json.dumps([ended[0] - begun[0], ended[1] - begun[1]]))
"""


def measure(streams: int, address: str, options: argparse.Namespace) -> tuple[float, int]:
    """Seconds of CPU, and frames delivered in that time."""
    pattern = f"testsrc:{options.size}@{options.rate}"
    command = [sys.executable, "-c", OURS, address, pattern, str(streams), str(options.seconds)]
    seconds, frames = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    print(f"{streams} streams: {1000 * seconds / frames:.2f} ms of CPU a frame, {frames} frames", flush=True)
    return seconds, frames


def main() -> None:
    """Measure in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rate", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    first, further = [], []
    with EmbeddedServer(EmbeddedOptions(arguments=(*ECHO, "--max_sessions", str(options.streams)))) as server:
        server.start()
        for _ in range(options.rounds):
            seconds, frames = measure(1, server.address, options)
            first.append(seconds / frames)
            many, all_frames = measure(options.streams, server.address, options)
            further.append((many - seconds) / (all_frames - frames))
    ratios = {"cpu_of_further_streams": median(further) / median(first)}
    print(f"cpu_of_further_streams: {ratios['cpu_of_further_streams']:.2f}")
    if options.json:
        document = {"ratios": ratios, "environment": environment(), "first": first, "further": further}
        options.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
