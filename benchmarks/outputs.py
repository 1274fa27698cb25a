"""CPU of three outputs (RTSP, HLS, a file) over that of RTSP alone: do they share their encoding?

    python -m benchmarks.outputs [--size 1280x720] [--rate 30] [--frames 300] [--rounds 3] [--json FILE]

The client publishes the test pattern, whose frames a function gives back. CPU is the process's own, user and system, in
the whole run, so that other work of the machine hardly changes it. Both ways alternate; the ratio is that of the
medians. The RTSP server is GStreamer's, of the tests, in a process of its own. Where a busy machine keeps it waiting,
that looks like a thin line, and a thin line has an encoder of its own: so frames may wait for long here
(``output_latency``).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.needs import need
from tests.support.rtsp_server import RtspServer

OURS = """
import json, resource, sys
from stream_client import RunOptions, StreamClient
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.options import SinkOptions
from stream_client.sinks.factory import open_sink
from stream_client.testing import echo
pattern, frames, *outputs = sys.argv[1:]
pool, sinks = EncoderPool(), SinkOptions(output_latency=30)
opened = [open_sink(each, sinks, pool=pool) for each in outputs]
client = StreamClient(pattern, opened, echo, options=RunOptions(limit_frames=int(frames)))
before = resource.getrusage(resource.RUSAGE_SELF)
summary = client.run()
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
sent = {name: output.sent for name, output in summary.outputs.items()}
print(json.dumps({"cpu": cpu, "delivered": summary.ledger.delivered, "sent": sent}))
"""


def measure(outputs: int, options: argparse.Namespace) -> dict[str, Any]:
    """One run: CPU milliseconds a frame."""
    with tempfile.TemporaryDirectory() as folder, RtspServer(publish=["out"]) as server:
        names = [server.url("publish/out"), f"{folder}/live/index.m3u8", f"{folder}/out.mp4"][:outputs]
        pattern = f"testsrc:{options.size}@{options.rate}"
        command = [sys.executable, "-c", OURS, pattern, str(options.frames), *names]
        found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {"outputs": outputs, "cpu_ms": 1000 * found["cpu"] / max(1, found["delivered"]), **found}


def main() -> None:
    """Measure in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    need(elements=())
    rows = []
    for _ in range(options.rounds):
        for outputs in (1, 3):
            rows.append(measure(outputs, options))
            print(f"{outputs} outputs: {rows[-1]['cpu_ms']:.1f} ms of CPU a frame, {rows[-1]['sent']}", flush=True)
    one, three = (median(row["cpu_ms"] for row in rows if row["outputs"] == outputs) for outputs in (1, 3))
    ratios = {"cpu_of_three_outputs": three / one}
    print(f"cpu_of_three_outputs: {three / one:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"ratios": ratios, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
