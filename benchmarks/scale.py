"""Throughput over 1, 2, 4 and 8 replicas that take 100 ms for a frame each, by the client's own balancing and by Envoy.

    python -m benchmarks.scale [--replicas 1 2 4 8] [--ways own envoy] [--api unary stream] [--seconds 10] [--json FILE]

A replica is a graph server whose one node waits: it answers ten frames a second, one after the other, however many come
at once. Unary calls come from one client; streaming sessions from as many clients as there are replicas. ``linear`` is
the rate over that of one replica by the same way, divided by their number. Envoy is that of `make environments`.
"""

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stream_client import ArraySource, RunOptions, SharedServers, StreamClient, TransportOptions
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.transport.options import Api
from tests.conftest import ROOT
from tests.support.envoy import Envoy

READY = ROOT / ".venvs" / "envoy" / "ready"
SERVICE_SECONDS = 0.1
WARM_UP_SECONDS = 4.0
"""Seconds until windows have found their size."""
GRAPH = """
num_threads: 1
input_stream: "OVMS_PY_TENSOR:image"
output_stream: "OVMS_PY_TENSOR:output"
node {
  name: "waiting"
  calculator: "PythonExecutorCalculator"
  input_side_packet: "PYTHON_NODE_RESOURCES:py"
  input_stream: "FRAME:image"
  output_stream: "OUTPUT:output"
  node_options: {
    [type.googleapis.com/mediapipe.PythonExecutorCalculatorOptions]: { handler_path: "waiting.py" }
  }
}
"""
SCRIPT = f"""
import threading
import time

from pyovms import Tensor


class OvmsPythonModel:
    def initialize(self, kwargs):
        self.turn = threading.Lock()

    def execute(self, inputs):
        with self.turn:
            time.sleep({SERVICE_SECONDS})
        return [Tensor("output", memoryview(inputs[0]))]
"""


@contextmanager
def replicas(folder: Path, count: int) -> Iterator[list[EmbeddedServer]]:
    """So many graph servers, each a process."""
    (folder / "graph.pbtxt").write_text(GRAPH)
    (folder / "waiting.py").write_text(SCRIPT)
    where = ("--grpc_bind_address", "127.0.0.1", "--rest_port", "0")
    what = ("--model_name", "waiting", "--model_path", str(folder))
    with ExitStack() as stack:
        servers = [EmbeddedServer(EmbeddedOptions(arguments=(*where, *what))) for _ in range(count)]
        for server in servers:
            stack.callback(server.close)
            server.launch()
        for server in servers:
            server.start()
        yield servers


class Rate:
    """Counts results of several clients, and says how many came a second between two moments."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def add(self, result: object) -> None:
        with self._lock:
            self._count += 1

    def measure(self, seconds: float) -> float:
        before, began = self._count, time.monotonic()
        time.sleep(seconds)
        return (self._count - before) / (time.monotonic() - began)


def throughput(address: str, api: Api, streams: int, seconds: float) -> float:
    """Frames a second of so many clients together."""
    image = np.zeros((48, 64, 3), np.uint8)
    rate, over = Rate(), threading.Event()

    def frames() -> Iterator[Any]:
        while not over.is_set():
            yield image

    options = TransportOptions(address, model_name="waiting", api=api)
    with SharedServers() as shared:
        clients = [
            StreamClient(ArraySource(frames()), rate.add, options, options=RunOptions(), servers=shared)
            for _ in range(streams)
        ]
        try:
            for client in clients:
                client.start()
            time.sleep(WARM_UP_SECONDS)
            return rate.measure(seconds)
        finally:
            over.set()
            for client in clients:
                client.wait()


def rate_of(way: str, api: Api, servers: Sequence[EmbeddedServer], seconds: float, folder: Path) -> float:
    """The rate over these servers, by this way."""
    streams = len(servers) if api == "stream" else 1
    if way == "own":
        return throughput(",".join(server.address for server in servers), api, streams, seconds)
    with Envoy(folder, [(server.address, str(server.rest_address)) for server in servers]) as envoy:
        envoy.wait_for(len(servers))
        return throughput(envoy.address, api, streams, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--ways", choices=("own", "envoy"), nargs="+", default=["own", "envoy"])
    parser.add_argument("--api", choices=("unary", "stream"), nargs="+", default=["unary", "stream"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if "envoy" in options.ways and not READY.exists():
        parser.error("Envoy is not there: make environments, or take --ways own")
    ratios, rows = {}, []
    print(f"{'':6}{'api':8}{'replicas':>9}{'frames/s':>10}{'linear':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with replicas(folder, max(options.replicas)) as servers:
            for way in options.ways:
                for api in options.api:
                    one = 0.0
                    for count in sorted({1, *options.replicas}):
                        rate = rate_of(way, api, servers[:count], options.seconds, folder)
                        one = one or rate
                        ratios[f"{way}_{api}_{count}"] = linear = rate / one / count
                        rows.append({"way": way, "api": api, "replicas": count, "rate": rate, "linear": linear})
                        print(f"{way:6}{api:8}{count:9}{rate:10.1f}{linear:8.2f}", flush=True)
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        options.json.write_text(json.dumps({"ratios": ratios, "environment": environment, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
