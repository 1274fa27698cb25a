"""Sixteen streams in one process, for minutes, with their servers killed at random: do ledgers add up, does it leak?

    python -m tests.soak_fleet [--minutes 10] [--streams 16] [--every 15] [--seed 1]

Two of GStreamer's RTSP servers play half of the streams each, at 5 to 30 frames/s; a graph server passes them through.
Every so many seconds one of the three is killed, drawn at random, and comes back two seconds later. The memory, threads
and descriptors of this process are read each second; growth compares the mean of the last fifth with that of the second
fifth. Exit status 1 where a frame has no end, a stream failed or stood still at the end, memory grew 5 % or more, or a
thread or descriptor is left.
"""

import argparse
import gc
import random
import statistics
import sys
import time

from stream_client.cli.fleet_tables import status_table
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan
from tests.soak import Cut, Sample, pause, sample, watched
from tests.support.graph_server import KilledServer
from tests.support.rtsp_server import RtspServer
from tests.support.waiting import wait_until

RATES = (5, 10, 15, 20, 25, 30)
AWAY_SECONDS = 2.0
MAX_GROWTH = 0.05


def _pattern(rate: int) -> str:
    return (
        f"( videotestsrc is-live=1 pattern=smpte ! video/x-raw,width=320,height=240,framerate={rate}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate} ! rtph264pay name=pay0 pt=96 )"
    )


def _cut(
    fleet: Fleet, servers: dict[str, Cut], until: float, every: float, chance: random.Random
) -> dict[str, list[float]]:
    """Kill one after another. The seconds from each return until every stream delivers again."""
    returns: dict[str, list[float]] = {name: [] for name in servers}
    while time.monotonic() + every + AWAY_SECONDS < until:
        pause(every)
        name = chance.choice(list(servers))
        servers[name].kill()
        pause(AWAY_SECONDS)
        servers[name].start()
        back = time.monotonic()
        _all_deliver(fleet)
        returns[name].append(time.monotonic() - back)
    pause(until - time.monotonic())
    return returns


def _all_deliver(fleet: Fleet) -> None:
    before = {each.name: each.delivered for each in fleet.status()}
    wait_until(lambda: all(each.delivered > before[each.name] for each in fleet.status()), seconds=120)


def growth(samples: list[Sample]) -> float:
    """Of the memory, from the second fifth to the last one."""
    fifth = max(1, len(samples) // 5)
    first, last = samples[fifth : 2 * fifth], samples[-fifth:]
    return statistics.mean(each.resident_mb for each in last) / statistics.mean(each.resident_mb for each in first) - 1


def main() -> int:
    """Run, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--every", type=float, default=15.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = [f"camera{number}" for number in range(options.streams)]
    rates = {name: RATES[number % len(RATES)] for number, name in enumerate(names)}
    before = sample(time.monotonic())
    samples: list[Sample] = []
    server = KilledServer()
    with (
        RtspServer(play={name: _pattern(rates[name]) for name in names[::2]}) as even,
        RtspServer(play={name: _pattern(rates[name]) for name in names[1::2]}) as odd,
        Fleet() as fleet,
    ):
        common = {"grpc_address": server.address, "model_name": "passThrough", "output_stream": "none"}
        plans = [
            StreamPlan(name, {**common, "input_stream": (even, odd)[number % 2].url(name)})
            for number, name in enumerate(names)
        ]
        assert not fleet.apply(plans)
        wait_until(lambda: all(each.delivered for each in fleet.status()), seconds=120)
        started = time.monotonic()
        with watched(samples, started):
            until = started + 60 * options.minutes
            chance = random.Random(options.seed)
            returns = _cut(
                fleet, {"even cameras": even, "odd cameras": odd, "server": server}, until, options.every, chance
            )
        _all_deliver(fleet)
        status = fleet.status()
        runs = list(fleet.statistics())
    server.kill()
    gc.collect()
    after = sample(started)
    print(status_table(status))
    unended = {run.snapshot().stream: run.snapshot().ledger.pending for run in runs if run.snapshot().ledger.pending}
    restarts = sum(each.restarts for each in status)
    grown = growth(samples)
    for name, seconds in returns.items():
        worst = f", until all delivered again {max(seconds):.1f} s at most" if seconds else ""
        print(f"{name}: killed {len(seconds)} times{worst}")
    print(f"frames without an end: {unended or 'none'}; failed runs: {restarts}")
    print(f"memory: {samples[0].resident_mb:.0f} to {samples[-1].resident_mb:.0f} MB, grown by {grown:.1%}")
    print(
        f"threads {before.threads} before, {after.threads} after; descriptors {before.descriptors}, {after.descriptors}"
    )
    left = after.threads > before.threads + 2 or after.descriptors > before.descriptors + 4  # gRPC keeps some
    return int(bool(unended) or restarts > 0 or grown >= MAX_GROWTH or left)


if __name__ == "__main__":
    sys.exit(main())
