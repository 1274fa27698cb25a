"""A long run of the whole relay under cuts and steps of the clock: does it come back, is it right, does it leak?

    python -m tests.soak [--minutes 15] [--cuts 20] [--steps 8] [--pattern testsrc:640x480@30] [--json FILE]

A second client publishes the test pattern to GStreamer's RTSP server. The client relays it through the graph server's
pass-through graph to a second RTSP server and to a file. The source's server, the output's server and the graph server
are killed in turn, ``--cuts`` times each, spread over the run. For every cut the time from the server's return to the
first frame delivered again is measured. libfaketime steps this process's wall clock by up to an hour both ways,
``--steps`` times; its monotonic clock goes on. Resident memory, threads and descriptors of this process are read each
second; growth compares the mean of the run's last fifth with that of its second fifth, since the first fills caches.
At the end the file is read back by the numbers in its frames, and compared with the numbers of the source's frames.

Exit status 1 where memory grew 3 % or more, a thread or descriptor was left, a return took longer than 3 s, the file
has not exactly the source's delivered frames in order, or a frame's time is 2 s or more from when it was painted.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from stream_client import StreamClient, TransportOptions
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.test_source.code import FrameCode, read_code
from stream_client.test_source.readings import Reading
from tests.support.fake_clock import FakeClock
from tests.support.graph_server import KilledServer
from tests.support.pattern_camera import pattern_camera, readings_in, tallied
from tests.support.rtsp_server import RtspServer
from tests.support.waiting import wait_until

MAX_GROWTH, MAX_RETURN_SECONDS, MAX_TIMING_ERROR = 0.03, 3.0, 2.0
STEPS = (-3600, 3600, -30, 4)
"""Seconds; one after another, again and again."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment."""

    seconds: float
    resident_mb: float
    threads: int
    descriptors: int


def sample(started: float, process: int | None = None) -> Sample:
    """A process now, this one by default, in seconds since ``started``."""
    place = Path("/proc") / ("self" if process is None else str(process))
    resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Sample(
        time.monotonic() - started,
        resident,
        len(os.listdir(place / "task")),
        len(os.listdir(place / "fd")),
    )


def pause(seconds: float) -> None:
    """In place of :func:`time.sleep`, which fails under libfaketime."""
    threading.Event().wait(max(0.0, seconds))


class Cut(Protocol):
    """A server that can be killed and started again."""

    def start(self) -> None:
        """Serve, at the same port as before."""

    def kill(self) -> None:
        """End it by SIGKILL."""


class Cutter:
    """Kills servers and measures how long each return takes."""

    AWAY_SECONDS = 1.0

    def __init__(self, client: StreamClient, servers: dict[str, Cut]) -> None:
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
        pause(self.AWAY_SECONDS)
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
    steps: int
    samples: list[Sample]
    ledger: LedgerSnapshot
    before: Sample
    after: Sample
    delivered: Sequence[int]
    """The numbers of the delivered frames as the source gave them, -1 for one that cannot be read."""
    written: Sequence[Reading]


def acts(cutter: Cutter, clock: FakeClock, options: argparse.Namespace) -> list[Callable[[], None]]:
    """The cuts, and the steps of the clock spread between them."""
    cuts: list[Callable[[], None]] = [partial(cutter.cut, name) for name in list(cutter.returns) * options.cuts]
    steps: list[Callable[[], None]] = [
        partial(clock.set, offset) for offset, _ in zip(cycle(STEPS), range(options.steps), strict=False)
    ]
    for number, step in enumerate(steps):
        cuts.insert((number + 1) * len(cuts) // (len(steps) + 1), step)
    return cuts


@contextmanager
def watched(samples: list[Sample], started: float, take: Callable[[float], Sample] = sample) -> Iterator[None]:
    """Sample each second, this process by default."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1.0):
            samples.append(take(started))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def run(options: argparse.Namespace, folder: Path, clock: FakeClock) -> Run:
    """The run itself; what it measured."""
    before = sample(time.monotonic())
    out = folder / "soak.mkv"
    server = KilledServer()
    with (
        RtspServer(publish=["camera"]) as source,
        RtspServer(publish=["out"]) as output,
        pattern_camera(source.url("publish/camera"), options.pattern),
    ):
        sink = output.url("publish/out")
        client = StreamClient(
            source.url("camera"), [sink, str(out)], TransportOptions(server.address, model_name="passThrough")
        )
        delivered = array("q")
        client.on_result(lambda result: delivered.append(number_of(read_code(result.frame.image))))
        cutter = Cutter(client, {"source": source, sink: output, "server": server})
        client.start()
        started = time.monotonic()
        samples: list[Sample] = []
        seconds = 60 * options.minutes
        with watched(samples, started):
            planned = acts(cutter, clock, options)
            for number, act in enumerate(planned):
                pause(started + seconds * (number + 1) / (len(planned) + 1) - time.monotonic())
                act()
            pause(started + seconds - time.monotonic())
        client.stop()
        summary = client.wait()
    server.kill()
    gc.collect()
    after = sample(started)
    # libfaketime makes FFmpeg, which asks for the time again and again, twenty times slower.
    with ProcessPoolExecutor(1, get_context("spawn")) as without_it:
        written = without_it.submit(readings_in, out).result()
    return Run(cutter.returns, options.steps, samples, summary.ledger, before, after, delivered, written)


def number_of(code: FrameCode | None) -> int:
    """The frame's number, -1 where there is none."""
    return -1 if code is None else code.index


def right(found: Run) -> bool:
    """Print what became of the frames; whether each is where the ledger says, in order, at its time."""
    ledger, file = found.ledger, tallied(found.written)
    print(ledger.line())
    assert file.timing_error is not None
    error = file.timing_error.times(1000)
    print(
        f"file: {file.frames} frames, numbers {file.first} to {file.last}, {file.duplicates} repeated by the camera, "
        f"{file.out_of_order} out of order, {file.unreadable} unreadable; {found.steps} steps of the clock, times "
        f"{error.p50:.0f} ms (median), {error.maximum:.0f} ms (largest) from those painted"
    )
    same = [number_of(reading.code) for reading in found.written] == list(found.delivered)
    odd = file.out_of_order + file.unreadable + file.restarts + ledger.pending
    print(f"the numbers in the file are {'' if same else 'NOT '}those of the {len(found.delivered)} delivered frames")
    return same and not odd and file.frames == ledger.delivered and file.timing_error.maximum < MAX_TIMING_ERROR


def report(found: Run, options: argparse.Namespace) -> bool:
    """Print what was measured; whether all of it is within bounds."""
    correct = right(found)
    samples = found.samples
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    columns = {}
    for name in ("resident_mb", "threads", "descriptors"):
        first, last = (statistics.mean(getattr(one, name) for one in part) for part in (early, late))
        columns[name] = (first, last)
        print(f"{name:12} second fifth {first:8.1f}  last fifth {last:8.1f}  growth {last / first - 1:+.1%}")
    slowest = 0.0
    for name, returns in found.returns.items():
        if returns:
            slowest = max(slowest, *returns)
            what = "output" if name.startswith("rtsp") else name
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
            "file": asdict(tallied(found.written)),
            "returns": list(found.returns.values()),
            "samples": [asdict(one) for one in samples],
        }
        options.json.write_text(json.dumps(content, indent=2))
    growth = columns["resident_mb"][1] / columns["resident_mb"][0] - 1
    steady = columns["threads"][1] <= columns["threads"][0] + 0.5 and (
        columns["descriptors"][1] <= columns["descriptors"][0] + 1.5
    )
    return correct and growth < MAX_GROWTH and steady and slowest <= MAX_RETURN_SECONDS


def main() -> None:
    """Run and report, in a process that has a clock of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--cuts", type=int, default=20, help="of each of the three servers")
    parser.add_argument("--steps", type=int, default=8, help="of the wall clock")
    parser.add_argument("--pattern", default="testsrc:640x480@30")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clock = FakeClock(Path(os.environ.get("FAKETIME_TIMESTAMP_FILE", f"{folder}/clock")))
        if os.environ.pop("LD_PRELOAD", "") != clock.environment["LD_PRELOAD"]:
            environment = os.environ | clock.environment
            command = [sys.executable, "-m", "tests.soak", *sys.argv[1:]]
            sys.exit(subprocess.run(command, env=environment, check=False).returncode)
        time.sleep = pause  # type: ignore[assignment]
        sys.exit(0 if report(run(options, Path(folder), clock), options) else 1)


if __name__ == "__main__":
    main()
