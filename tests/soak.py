"""A long run of the whole relay under cuts: does it come back, and does it leak?

    python -m tests.soak [--minutes 15] [--cuts 20] [--size 640x480] [--json FILE]

GStreamer's RTSP server plays a test picture at 30 frames a second, the client relays it through the graph
server's pass-through graph to a second RTSP server, and a viewer watches there. The servers of source and output
are killed in turn, ``--cuts`` times each, spread over the run. For every cut the time from the server's return to
the first frame delivered, or published, again is measured. Resident memory, threads and descriptors of the client's
process are read each second; growth compares the mean of the run's last fifth with that of its second fifth, since
the first fills caches.

Exit status 1 where memory grew 3 % or more, a thread or descriptor was left, or a return took longer than 3 s.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from stream_client import StreamClient, TransportOptions
from stream_client.monitoring.ledger import LedgerSnapshot
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.rtsp_server import RtspServer
from tests.support.waiting import wait_until

MAX_GROWTH, MAX_RETURN_SECONDS = 0.03, 3.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The client's process at one moment."""

    seconds: float
    resident_mb: float
    threads: int
    descriptors: int


def sample(started: float) -> Sample:
    """This process now, in seconds since ``started``."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Sample(
        time.monotonic() - started,
        resident,
        len(os.listdir("/proc/self/task")),
        len(os.listdir("/proc/self/fd")),
    )


def pattern(size: str) -> str:
    """A GStreamer pipeline with a moving picture of ``size``, 30 frames a second."""
    width, height = size.split("x")
    return (
        f"( videotestsrc is-live=1 pattern=ball ! video/x-raw,width={width},height={height},framerate=30/1 "
        "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! rtph264pay name=pay0 pt=96 )"
    )


class Cutter:
    """Kills the two RTSP servers in turn and measures how long each return takes."""

    AWAY_SECONDS = 1.0

    def __init__(self, client: StreamClient, servers: dict[str, RtspServer]) -> None:
        self._client = client
        self._servers = servers
        self._delivered = threading.Event()
        self.returns: dict[str, list[float]] = {name: [] for name in servers}
        client.on_result(lambda result: self._delivered.set())

    def cut(self, name: str) -> None:
        """Kill the server ``name``, bring it back a second later, and wait until all is well."""
        server = self._servers[name]
        server.kill()
        wait_until(lambda: self._client.connections[name].state != "live", seconds=60)
        time.sleep(self.AWAY_SECONDS)
        server.start()
        back = time.monotonic()
        wait_until(lambda: self._client.connections[name].state == "live", seconds=60, pause=0.005)
        self._delivered.clear()
        assert self._delivered.wait(60)
        self.returns[name].append(time.monotonic() - back)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run measured; ``returns`` are the seconds after each cut, by name of the server."""

    returns: dict[str, list[float]]
    samples: list[Sample]
    ledger: LedgerSnapshot
    before: Sample
    after: Sample


def run(options: argparse.Namespace) -> Run:
    """The run itself; what it measured."""
    before = sample(time.monotonic())
    with (
        RtspServer(play={"camera": pattern(options.size)}) as source,
        RtspServer(publish=["out"]) as output,
        graph_server_process(*ECHO) as server,
    ):
        client = StreamClient(
            source.url("camera"),
            output.url("publish/out"),
            TransportOptions(server.address, model_name="passThrough"),
        )
        cutter = Cutter(client, {"source": source, output.url("publish/out"): output})
        client.start()
        started = time.monotonic()
        samples: list[Sample] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(1.0):
                samples.append(sample(started))

        watcher = threading.Thread(target=watch)
        watcher.start()
        seconds = 60 * options.minutes
        names = list(cutter.returns) * options.cuts
        for number, name in enumerate(names):
            time.sleep(max(0.0, started + seconds * (number + 1) / (len(names) + 1) - time.monotonic()))
            cutter.cut(name)
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        stop.set()
        watcher.join()
        client.stop()
        summary = client.wait()
    gc.collect()
    return Run(cutter.returns, samples, summary.ledger, before, sample(started))


def report(found: Run, options: argparse.Namespace) -> bool:
    """Print what was measured; whether all of it is within bounds."""
    samples = found.samples
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    print(found.ledger.line())
    columns = {}
    for name in ("resident_mb", "threads", "descriptors"):
        first, last = (statistics.mean(getattr(one, name) for one in part) for part in (early, late))
        columns[name] = (first, last)
        print(f"{name:12} second fifth {first:8.1f}  last fifth {last:8.1f}  growth {last / first - 1:+.1%}")
    slowest = 0.0
    for name, returns in found.returns.items():
        if returns:
            slowest = max(slowest, *returns)
            what = "source" if name == "source" else "output"
            print(
                f"{what}: {len(returns)} cuts, live again after {statistics.median(returns):.2f} s "
                f"(median), {max(returns):.2f} s (longest)"
            )
    before, after = found.before, found.after
    print(
        f"before and after the run: {before.threads} and {after.threads} threads, "
        f"{before.descriptors} and {after.descriptors} descriptors"
    )
    if options.json:
        content = {
            "ledger": asdict(found.ledger),
            "returns": list(found.returns.values()),
            "samples": [asdict(one) for one in samples],
        }
        options.json.write_text(json.dumps(content, indent=2))
    growth = columns["resident_mb"][1] / columns["resident_mb"][0] - 1
    steady = columns["threads"][1] <= columns["threads"][0] + 0.5 and (
        columns["descriptors"][1] <= columns["descriptors"][0] + 1.5
    )
    return growth < MAX_GROWTH and steady and slowest <= MAX_RETURN_SECONDS


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--cuts", type=int, default=20, help="of each of the two RTSP servers")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sys.exit(0 if report(run(options), options) else 1)


if __name__ == "__main__":
    main()
