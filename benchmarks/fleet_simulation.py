"""Ten thousand cameras in simulated time; servers are killed, updated one by one, and slow: who gets what at what cost.

    python benchmarks/fleet_simulation.py [--cameras 10000] [--servers 500] [--cells 20] [--fps 1] [--seconds 16]
                                          [--load 0.75] [--json FILE]

The client's own code decides: frame queues, windows, shares, joiner and ledger; replicas, their choice and their moves;
which process has which stream. Only servers, network and time are a model: a server has a queue and `--slots` places,
and its frames take so long that all servers have this `--load`. A cell is a site: its processes know its servers only.
One camera of twenty has frames that cost four times as much. In each cell a server is killed, all are updated one after
another, and some are slow for a while.

Simulated are a quarter of the cells, then all of them, then as many cells of a quarter of the size: what each component
does for a frame must not grow. That is said in steps of the interpreter, which are the same on every machine, and in
processor time, which also has the misses of its caches. Cells of another size lose other shares of their servers, so
they are compared in the calm before that.
"""

import argparse
import json
import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import simpy
from simulated_camera import Camera, Observe
from simulated_fleet import Plan, SimulatedFleet
from simulated_server import Server, after

from stream_client.util.table import table

PHASES = ("calm", "killed", "back", "update", "slow rack", "after")
PARTS = (0.2, 0.1, 0.15, 0.25, 0.15, 0.15)
"""Of the simulated time."""
KILLED, RACK, SLOWNESS = 0.02, 0.05, 4.0
"""Shares of a cell's servers, one at least, that are killed and that are slow, and how much longer these take."""
BIN = 0.25
"""Seconds in which delivered frames are counted."""


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What became of the frames that ended in a phase. Latencies, from capture to delivery, are in milliseconds."""

    phase: str
    frames: int
    dropped: float
    failed: float
    dropped_small: float
    dropped_heavy: float
    p50: float
    p95: float
    p99: float


class Counts(Observe):
    """Counts ends of frames by phase."""

    def __init__(self, begins: Sequence[float]) -> None:
        self._begins = begins
        self._ends: defaultdict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
        self._latencies: defaultdict[str, list[float]] = defaultdict(list)
        self.delivered: Counter[int] = Counter()

    def ended(self, camera: Camera, outcome: str, now: float, latency: float) -> None:
        phase = PHASES[sum(now >= begin for begin in self._begins) - 1]
        self._ends[phase, camera.cost > 1.0][outcome] += 1
        if outcome == "delivered":
            self._latencies[phase].append(latency)
            self.delivered[int(now / BIN)] += 1

    def reports(self) -> Iterator[PhaseReport]:
        for phase in PHASES:
            small, heavy = self._ends[phase, False], self._ends[phase, True]
            both = small + heavy
            latencies = sorted(self._latencies[phase])
            yield PhaseReport(
                phase,
                both.total(),
                _part(both, "dropped"),
                _part(both, "failed"),
                _part(small, "dropped"),
                _part(heavy, "dropped"),
                *(1000 * _quantile(latencies, share) for share in (0.5, 0.95, 0.99)),
            )

    def recovery(self, since: float, until: float) -> float:
        """Seconds after ``since`` until as many frames are delivered as in the second before; ``nan``: not so soon."""
        first = math.ceil(since / BIN)
        usual = sum(self.delivered[first - 1 - number] for number in range(round(1 / BIN))) * BIN
        good = [number for number in range(first, int(until / BIN)) if self.delivered[number] < 0.95 * usual]
        return (good[-1] + 1) * BIN - since if good else 0.0


def simulate(plan: Plan, seconds: float) -> dict[str, Any]:
    """One run: what became of the frames, and what the components cost."""
    begins = [sum(PARTS[:number]) * seconds for number in range(len(PARTS))]
    env, counts = simpy.Environment(), Counts(begins)
    began = time.monotonic()
    fleet = SimulatedFleet(env, plan, counts)
    for cell in fleet.cells:
        for server in cell[: math.ceil(KILLED * len(cell))]:
            after(env, begins[1], server.kill)
            after(env, begins[2], server.start)
        env.process(_update(env, cell, begins[3], begins[4]))
        for server in cell[: math.ceil(RACK * len(cell))]:
            after(env, begins[4], _slow_down, server, SLOWNESS)
            after(env, begins[5], _slow_down, server, 1.0)
    env.run(until=begins[1])
    calm = _work(fleet)
    env.run(until=seconds + 0.5)
    ledgers = [camera.ledger.snapshot() for camera in fleet.cameras]
    frames = sum(ledger.entered for ledger in ledgers)
    unended = sum(ledger.pending for ledger in ledgers)
    return {
        **asdict(plan),
        "service_ms": 1000 * plan.service,
        "frames": frames,
        "unended": unended,
        "phases": [asdict(report) for report in counts.reports()],
        "recovery_seconds": {
            "killed": counts.recovery(begins[1], begins[2]),
            "slow rack": counts.recovery(begins[4], begins[5]),
        },
        "updated": sum(server.updates for cell in fleet.cells for server in cell),
        "work": _work(fleet),
        "calm_work": calm,
        "took_seconds": time.monotonic() - began,
    }


def _work(fleet: SimulatedFleet) -> dict[str, dict[str, float]]:
    """What each component has done for a frame, or for a stream, so far."""
    frames = sum(camera.ledger.snapshot().entered for camera in fleet.cameras)

    def part(spent: Mapping[str, float], unit: float) -> dict[str, float]:
        units = {name: len(fleet.cameras) if name == "placement" else frames for name in spent}
        return {name: unit * each / units[name] for name, each in spent.items()}

    return {"steps": part(fleet.work.steps(), 1.0), "microseconds": part(fleet.work.seconds(), 1e6)}


def _update(
    env: simpy.Environment, cell: Sequence[Server], begin: float, end: float
) -> Generator[simpy.Event, None, None]:
    """One server of the cell after another is drained, stopped, started and waited for."""
    yield env.timeout(begin)
    for server in cell:
        if env.now > end - 2.5:
            return
        server.draining = True
        while server.sessions:
            yield env.timeout(0.1)
        server.kill()
        yield env.timeout(0.5)
        server.start()
        server.updates += 1
        yield env.timeout(1.0)


def _slow_down(server: Server, slowness: float) -> None:
    server.slowness = slowness


def _part(ends: Counter[str], outcome: str) -> float:
    return ends[outcome] / ends.total() if ends else 0.0


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)] if values else math.nan


def _print(report: dict[str, Any]) -> None:
    print(
        f"\n{report['cameras']} cameras of {report['fps']:g} frames/s, {report['servers']} servers in "
        f"{report['cells']} cells, {report['frames']} frames, simulated in {report['took_seconds']:.0f} s"
    )
    header = ("phase", "frames", "dropped", "of small", "of heavy", "failed", "p50 ms", "p95 ms", "p99 ms")
    rows = [
        (
            *(each["phase"], str(each["frames"])),
            *(f"{each[name]:.2%}" for name in ("dropped", "dropped_small", "dropped_heavy", "failed")),
            *(f"{each[name]:.0f}" for name in ("p50", "p95", "p99")),
        )
        for each in report["phases"]
    ]
    print(table(header, rows))
    for what, seconds in report["recovery_seconds"].items():
        print(f"{what}: as many frames as before after {seconds:.2f} s")
    print(f"updated: {report['updated']} servers, one of each cell at a time")


def _print_growth(what: str, before: dict[str, dict[str, float]], now: dict[str, dict[str, float]]) -> None:
    """``before`` and ``now`` are what :func:`_work` found."""
    print(f"\n{what}: what a component does for a frame (placement: for a stream)")
    header = ("component", *("steps before", "now", "ratio"), *("µs before", "now", "ratio"))
    rows = []
    for name in now["steps"]:
        pairs = [(before[unit][name], now[unit][name]) for unit in ("steps", "microseconds")]
        rows.append((name, *(text for pair in pairs for text in _compared(*pair))))
    print(table(header, rows))


def _compared(before: float, now: float) -> tuple[str, str, str]:
    return f"{before:.1f}", f"{now:.1f}", f"{now / before:.2f}" if before else "-"


def main() -> None:
    """Print tables, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=10000)
    parser.add_argument("--servers", type=int, default=500)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--processes", type=int, default=8, help="of a cell")
    parser.add_argument("--fps", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=16.0, help="of simulated time")
    parser.add_argument("--slots", type=int, default=4, help="frames that a server works on at once")
    parser.add_argument("--load", type=float, default=0.75)
    parser.add_argument("--json", type=Path, metavar="FILE")
    flags = parser.parse_args()
    if min(flags.cameras, flags.servers) < 4 * flags.cells or flags.cells < 4:
        parser.error("name at least 4 cells, and 4 cameras and servers for each")
    if flags.cells % 4:
        parser.error("name a number of cells that four divides")

    def plan(part: int, cells: int) -> Plan:
        return Plan(
            *(flags.cameras // part, flags.servers // part, cells, flags.processes),
            *(flags.fps, flags.slots, flags.load, 0.05, 4.0),
        )

    logging.getLogger("stream_client").setLevel(logging.ERROR)  # each pool says what it sees
    plans = (plan(4, flags.cells // 4), plan(1, flags.cells), plan(4, flags.cells))
    reports = []
    for each in plans:
        reports.append(simulate(each, flags.seconds))
        _print(reports[-1])
    few, all_of_them, small = reports
    _print_growth("four times the cells", few["work"], all_of_them["work"])
    _print_growth("cells of four times the size, while nothing happens", small["calm_work"], all_of_them["calm_work"])
    if flags.json is not None:
        flags.json.write_text(json.dumps(reports, indent=1) + "\n")


if __name__ == "__main__":
    main()
