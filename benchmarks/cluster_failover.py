"""How soon the streams of a Ray cluster live elsewhere when a node is killed or stands still; and what else is killed.

    python -m benchmarks.cluster_failover [--nodes 3] [--streams 12] [--rounds 1] [--json FILE]

All nodes are processes of this machine, so what moves competes with everything else here. Streams are made pictures of
10 frames/s through a graph server that passes them on. A stream lives again when its new placement has written a line;
``placed`` is when the last one was placed anew. ``stayed`` are the other streams, ``pause`` is their longest time
without a line, ``more`` counts needless placements: where a node is too busy to answer Ray in time. Ray's health checks
are those of docs/how-to/cluster.md. Exit status 1 where a frame is twice in an output.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from stream_client.fleet.cluster.connection import connected
from stream_client.fleet.cluster.fleet import ClusterFleet
from stream_client.fleet.cluster.store import Store
from stream_client.fleet.cluster.supervisor import PlacedStatus
from stream_client.util.table import table
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.ray_cluster import RayCluster
from tests.support.waiting import wait_until

PATIENCE = 600.0
WATCHED = 4.0
"""Seconds after what no stream should notice."""
HEALTH_CHECK_TIMEOUT_MS = 1000


@dataclass(frozen=True, slots=True)
class Loss:
    """What was lost, and what became of the streams. Seconds; ``load`` is the machine's load average of a minute."""

    what: str
    moved: int
    placed: float | None
    first: float | None
    last: float | None
    stayed: int
    pause: float
    more: int
    load: float


class Outputs:
    """The labels that the placements of each stream have written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def pattern(self) -> str:
        """For ``labels_output``."""
        return f"{self._folder}/{{stream}}.{{epoch}}.jsonl"

    def lines(self, name: str, epoch: int) -> int:
        path = self._folder / f"{name}.{epoch}.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def twice(self) -> list[str]:
        """Files with a frame that is not newer than the one before."""
        wrong = []
        for path in self._folder.iterdir():
            frames = [json.loads(line)["frame"] for line in path.read_text().splitlines() if line.endswith("}")]
            if frames != sorted(set(frames)):
                wrong.append(path.name)
        return wrong


class Trial:
    """A fleet on a cluster that loses things."""

    def __init__(self, fleet: ClusterFleet, store: Store, outputs: Outputs) -> None:
        self.fleet = fleet
        self._store = store
        self._outputs = outputs
        self.losses: list[Loss] = []
        self._over: dict[tuple[str, int], int] = {}

    def late(self) -> int:
        """Lines that placements have written after the next one had its first: what was on its way into the file."""
        return sum(self._outputs.lines(*placement) - lines for placement, lines in self._over.items())

    def all_live(self) -> bool:
        """Whether each stream runs and has written since it was placed."""
        placed = self.fleet.placed()
        return bool(placed) and all(
            each.status.state == "running" and self._outputs.lines(each.status.name, each.epoch) for each in placed
        )

    def lose(self, what: str, cause: Callable[[], object], node: str | None = None) -> None:
        """Cause the loss of ``what``, and wait until the streams of ``node`` live elsewhere."""
        before = {each.status.name: each for each in self.fleet.placed()}
        gone = {name for name, each in before.items() if node is not None and each.node == node}
        load = os.getloadavg()[0]
        began = time.monotonic()
        cause()
        lived: dict[str, float] = {}
        placed: dict[str, float] = {}
        stayed = {name: _Pause(self._outputs, each, began) for name, each in before.items() if name not in gone}
        while len(lived) < len(gone) or time.monotonic() < began + WATCHED:
            for pause in stayed.values():
                pause.look()
            for name in gone - placed.keys():
                if self._store.epoch(name) > before[name].epoch:
                    placed[name] = time.monotonic() - began
            for name in gone - lived.keys():
                if self._outputs.lines(name, before[name].epoch + 1):
                    lived[name] = time.monotonic() - began
                    over = name, before[name].epoch
                    self._over[over] = self._outputs.lines(*over)
            assert time.monotonic() < began + PATIENCE, f"{gone - lived.keys()} do not live again"
            time.sleep(0.02)
        wait_until(self.all_live, seconds=PATIENCE)
        more = sum(each.epoch - before[each.status.name].epoch for each in self.fleet.placed()) - len(gone)
        times = sorted(lived.values())
        longest = max((pause.longest for pause in stayed.values()), default=0.0)
        first, last = (times[0], times[-1]) if times else (None, None)
        place = max(placed.values(), default=None)
        self.losses.append(Loss(what, len(gone), place, first, last, len(stayed), longest, more, load))
        print(self.losses[-1], file=sys.stderr, flush=True)


class _Pause:
    """The longest time in which a placement that stays wrote nothing."""

    def __init__(self, outputs: Outputs, placed: PlacedStatus, now: float) -> None:
        self._outputs, self._name, self._epoch = outputs, placed.status.name, placed.epoch
        self._lines, self._since = outputs.lines(self._name, self._epoch), now
        self.longest = 0.0

    def look(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self._since)
        if (lines := self._outputs.lines(self._name, self._epoch)) != self._lines:
            self._lines, self._since = lines, now


def trial(nodes: int, streams: int, rounds: int) -> tuple[list[Loss], list[str], int]:
    """The losses, the outputs that have a frame twice, and how many lines came late."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "labels").mkdir()
        outputs = Outputs(folder / "labels")
        server = stack.enter_context(graph_server_process(*ECHO))
        cluster = stack.enter_context(RayCluster(HEALTH_CHECK_TIMEOUT_MS))
        alive = [cluster.add(cpus=streams) for _ in range(nodes)]
        path = folder / "cameras.toml"
        path.write_text(
            f'[defaults]\ngrpc_address = "{server.address}"\nmodel_name = "passThrough"\n'
            f'input_stream = "testsrc:160x120@10"\nlabels_output = "{outputs.pattern}"\n'
            + "".join(f"[streams.camera{number}]\n" for number in range(streams))
        )
        command = [sys.executable, "-m", "stream_client", "fleet", str(path)]
        driver = subprocess.Popen(
            [*command, "--engine", "ray", "--address", cluster.address], stderr=subprocess.DEVNULL
        )
        stack.callback(driver.wait)
        stack.callback(driver.kill)
        ray = stack.enter_context(connected(cluster.address))
        fleet = ClusterFleet(ray, path.stem)
        run = Trial(fleet, Store(path.stem), outputs)
        wait_until(run.all_live, seconds=PATIENCE, pause=0.5)
        run.lose("the command", driver.kill)
        for _ in range(rounds):
            (supervisor,) = cluster.actors("Supervisor")
            run.lose("the supervisor", partial(os.kill, supervisor, signal.SIGKILL))
            killed = alive.pop(0)
            run.lose("a node, killed", partial(cluster.kill, killed), killed.node_id)
            alive.append(cluster.add(cpus=streams))
            frozen = alive.pop(0)
            run.lose("a node, frozen", partial(cluster.freeze, frozen), frozen.node_id)
            cluster.freeze(frozen, thaw=True)
            run.lose("a node that went on", lambda: None)
            cluster.kill(frozen)
            alive.append(cluster.add(cpus=streams))
        fleet.stop()
        return run.losses, outputs.twice(), run.late()


def main() -> int:
    """Print the table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3, help="beside the head, which has no streams")
    parser.add_argument("--streams", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    losses, twice, late = trial(options.nodes, options.streams, options.rounds)
    header = ("lost", "moved", "placed s", "first s", "last s", "stayed", "pause s", "more", "load")
    rows = [[_shown(value) for value in asdict(loss).values()] for loss in losses]
    print(table(header, rows))
    print(f"frames twice in an output: {', '.join(twice) or 'none'}; written late: {late} lines")
    if options.json is not None:
        found = {"twice": twice, "late": late, "losses": [asdict(loss) for loss in losses]}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(bool(twice))


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
