"""Many streams for minutes, in one process or several, with their servers killed at random: do ledgers add up, and is
anything left?

    python -m tests.soak_fleet [--minutes 10] [--streams 16] [--workers N] [--every 15] [--rates 5,10,15,20,25,30]
                               [--seed 1]

Two of GStreamer's RTSP servers play half of the streams each, those of a rate from one encoder; a graph server passes
them through; every eighth stream is published to a third RTSP server. Every so many seconds one of the four is killed,
drawn at random, and comes back two seconds later. What is run and what runs it are read each second: processor time,
and the memory, threads and descriptors of what runs the streams, summed over the workers. Growth compares the mean of
the last third with that of the second third: in ten minutes the first one fills caches and malloc's arenas.
``latency`` is from capture to delivery, with all servers there, and of the streams of one camera server while the other
is away. At the end all streams are paused, and every frame has had its end. Exit status 1 where one has none, a stream
failed or stood still at the end, memory grew 2.5 % or more, a worker was replaced, or a thread or descriptor is left.

The trial of 64 streams over four workers on two cores, alone on its machine, 500 frames/s in all:

    python -m tests.soak_fleet --minutes 10 --streams 64 --workers 4 --rates 5,5,6,5,10,5,6,5,8,5,15,5,5,6,5,30
"""

import argparse
import gc
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence

from stream_client.cli.fleet_tables import status_table
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.workers import WorkerFleet
from stream_client.monitoring.histogram import BUCKETS, HistogramSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.statistics import StatisticsSnapshot
from tests.soak import Cut, Sample, pause, sample, watched
from tests.support.graph_server import KilledServer
from tests.support.processor import Processor
from tests.support.rtsp_server import RtspServer
from tests.support.waiting import wait_until

RATES = "5,10,15,20,25,30"
AWAY_SECONDS = 2.0
MAX_GROWTH = 0.025
"""From the second third to the last one: 200 s in ten minutes."""
PUBLISHED = 8
"""One stream of so many."""
AnyFleet = Fleet | WorkerFleet


def _pattern(rate: str) -> str:
    return (
        f"( videotestsrc is-live=1 pattern=smpte ! video/x-raw,width=160,height=120,framerate={rate}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate} ! rtph264pay name=pay0 pt=96 )"
    )


class Latency:
    """That of streams over several stretches of time."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)

    def add(self, fleet: AnyFleet, names: Collection[str], seconds: float) -> None:
        """Wait so long, and take what these streams have delivered meanwhile."""
        before = self._of(fleet, names)
        pause(seconds)
        grown = zip(self._counts, self._of(fleet, names), before, strict=True)
        self._counts = [known + now - then for known, now, then in grown]

    @staticmethod
    def _of(fleet: AnyFleet, names: Collection[str]) -> list[int]:
        found = [each.latency.counts for each in _snapshots(fleet) if each.stream in names]
        return [sum(counts) for counts in zip([0] * (len(BUCKETS) + 1), *found, strict=True)]

    def __str__(self) -> str:
        taken = HistogramSnapshot(BUCKETS, self._counts, 0.0)
        parts = [f"p{share} {1000 * (taken.quantile(share / 100) or 0.0):.0f} ms" for share in (50, 95, 99)]
        return f"{', '.join(parts)} of {taken.count} frames"


class Trial:
    """A fleet whose servers are killed one after another. ``names`` are the streams of each camera server."""

    def __init__(self, fleet: AnyFleet, servers: dict[str, Cut], names: dict[str, Sequence[str]]) -> None:
        self._fleet = fleet
        self._servers = servers
        self._names = names
        self.returns: dict[str, list[float]] = {name: [] for name in servers}
        """The seconds from each return until every stream delivered again."""
        self.quiet, self.beside = Latency(), Latency()

    def run(self, until: float, every: float, chance: random.Random) -> None:
        everybody = [name for names in self._names.values() for name in names]
        while time.monotonic() + every + AWAY_SECONDS < until:
            self.quiet.add(self._fleet, everybody, every)
            name = chance.choice(list(self._servers))
            others = [each for server, names in self._names.items() if server != name for each in names]
            self._servers[name].kill()
            if name in self._names:
                self.beside.add(self._fleet, others, AWAY_SECONDS)
            else:
                pause(AWAY_SECONDS)
            self._servers[name].start()
            back = time.monotonic()
            all_deliver(self._fleet)
            self.returns[name].append(time.monotonic() - back)
        pause(until - time.monotonic())

    def print(self) -> None:
        """What was killed, and the latencies."""
        for name, seconds in self.returns.items():
            worst = f", until all delivered again {max(seconds):.1f} s at most" if seconds else ""
            print(f"{name}: killed {len(seconds)} times{worst}")
        print(f"latency with all servers there: {self.quiet}")
        print(f"latency while the other camera server was away: {self.beside}")


def all_deliver(fleet: AnyFleet) -> None:
    """Wait until every stream has delivered a frame that it had not before."""
    before = {each.name: each.delivered for each in fleet.status()}
    wait_until(lambda: all(each.delivered > before[each.name] for each in fleet.status()), seconds=120)


def _snapshots(fleet: AnyFleet) -> list[StatisticsSnapshot]:
    return [each.snapshot() for each in fleet.statistics()]


def _entered(fleet: AnyFleet) -> int:
    return sum(each.ledger.entered for each in _snapshots(fleet))


def together(processes: Sequence[int | None], started: float) -> Sample:
    """Processes now, as one."""
    samples = [sample(started, process) for process in processes]
    return Sample(
        max(each.seconds for each in samples),
        sum(each.resident_mb for each in samples),
        sum(each.threads for each in samples),
        sum(each.descriptors for each in samples),
    )


def growth(samples: list[Sample]) -> float:
    """Of the memory, from the second third to the last one."""
    third = max(1, len(samples) // 3)
    before, after = (
        statistics.mean(each.resident_mb for each in part) for part in (samples[third : 2 * third], samples[-third:])
    )
    return after / before - 1


def main() -> int:
    """Run, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--workers", type=int, help="processes; else the streams run in this one")
    parser.add_argument("--every", type=float, default=15.0, metavar="SECONDS")
    parser.add_argument("--rates", default=RATES, help="frames/s, in turn")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names, rates = [f"camera{number}" for number in range(options.streams)], options.rates.split(",")
    patterns = {f"rate{rate}": _pattern(rate) for rate in rates}
    before = sample(time.monotonic())
    samples: list[Sample] = []
    server = KilledServer("--max_sessions", str(options.streams))
    with (
        RtspServer(play=patterns) as even,
        RtspServer(play=patterns) as odd,
        RtspServer(publish=names[::PUBLISHED]) as output,
        Fleet() if options.workers is None else WorkerFleet(options.workers) as fleet,
    ):
        common = {"grpc_address": server.address, "model_name": "passThrough"}
        plans = []
        for number, name in enumerate(names):
            sink = "none" if number % PUBLISHED else output.url(f"publish/{name}")
            source = (even, odd)[number % 2].url(f"rate{rates[number // 2 % len(rates)]}")
            plans.append(StreamPlan(name, {**common, "input_stream": source, "output_stream": sink}))
        assert not fleet.apply(plans)
        wait_until(lambda: all(each.delivered for each in fleet.status()), seconds=300)
        processes = fleet.pids if isinstance(fleet, WorkerFleet) else [None]
        trial = Trial(
            fleet,
            {"even cameras": even, "odd cameras": odd, "output": output, "server": server},
            {"even cameras": names[::2], "odd cameras": names[1::2]},
        )
        spent = Processor(
            {
                "cameras": lambda: (*even.pids, *odd.pids),
                "output": lambda: output.pids,
                "server": lambda: server.pids,
                "streams": lambda: processes,
                "this": lambda: () if None in processes else (None,),
            }
        )
        entered = _entered(fleet)
        started = time.monotonic()

        def take(since: float) -> Sample:
            spent.look()
            return together(processes, since)

        with watched(samples, started, take):
            trial.run(started + 60 * options.minutes, options.every, random.Random(options.seed))
        cost = spent.text(time.monotonic() - started, _entered(fleet) - entered)
        all_deliver(fleet)
        fleet.apply(plans, paused=names)
        wait_until(lambda: not any(each.ledger.pending for each in _snapshots(fleet)), seconds=60)
        status = fleet.status()
        runs = list(fleet.statistics())
        replaced = isinstance(fleet, WorkerFleet) and fleet.pids != processes
    server.kill()
    gc.collect()
    after = sample(started)
    print(status_table(status))
    trial.print()
    print(cost)
    ledgers = {run.snapshot().stream: run.snapshot().ledger for run in runs}
    well = _ledgers_add_up(ledgers.values()) and len(ledgers) == len(names)
    restarts, grown = sum(each.restarts for each in status), growth(samples)
    print(f"failed runs: {restarts}; workers replaced: {replaced}")
    _print_ends(samples, grown, before, after)
    left = after.threads > before.threads + 2 or after.descriptors > before.descriptors + 4  # gRPC keeps some
    return int(not well or restarts > 0 or replaced or grown >= MAX_GROWTH or left)


def _print_ends(samples: Sequence[Sample], grown: float, before: Sample, after: Sample) -> None:
    """Those of what runs the streams, and of this process before and after all."""
    print(
        f"memory: {samples[0].resident_mb:.0f} to {samples[-1].resident_mb:.0f} MB, grown by {grown:.1%}; "
        f"threads {samples[0].threads} to {samples[-1].threads}, "
        f"descriptors {samples[0].descriptors} to {samples[-1].descriptors}"
    )
    print(
        f"this process: threads {before.threads} before, {after.threads} after; "
        f"descriptors {before.descriptors}, {after.descriptors}; load now {os.getloadavg()[0]:.1f}"
    )


def _ledgers_add_up(ledgers: Collection[LedgerSnapshot]) -> bool:
    dropped = sum((Counter(each.dropped) for each in ledgers), Counter())
    failed = sum((Counter(each.failed) for each in ledgers), Counter())
    unended = sum(each.pending for each in ledgers)
    print(
        f"{len(ledgers)} ledgers: entered {sum(each.entered for each in ledgers)}, "
        f"delivered {sum(each.delivered for each in ledgers)}, dropped {dict(dropped)}, failed {dict(failed)}, "
        f"without an end {unended}"
    )
    return not unended


if __name__ == "__main__":
    sys.exit(main())
