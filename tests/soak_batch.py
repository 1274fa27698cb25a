"""A batch of many videos on a Ray cluster whose nodes are killed at random: is each video done once, as without kills?

    python -m tests.soak_batch [--videos 40] [--nodes 3] [--every 5] [--seed 1] [--json FILE]

One node after another is killed, drawn at random, so often as the batch lasts; another takes its place. The same videos
are then done in this machine's processes by the local engine. Exit status 1 where a video is not done, was done twice,
or has other labels or counts.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.support.graph_server import ECHO, graph_server_process
from tests.support.ray_cluster import RayCluster
from tests.support.video import write_video

COUNTS = ("key", "status", "settings", "checksum", "frames", "delivered", "error")
FRAMES = 30
SERVER_RATE = 30
"""Frames a second of the server, so that the batch lasts."""


@dataclass(frozen=True, slots=True)
class Report:
    """``retried`` are attempts that were lost with a node; ``seconds`` are those of the batch on the cluster."""

    videos: int
    killed: int
    retried: int
    done: int
    same_labels: bool
    same_counts: bool
    made_twice: int
    seconds: float
    load: float


def _command(archive: Path, output: Path, server: str, *more: str) -> list[str]:
    what = [str(archive), "--output", str(output), "--grpc_address", server, "--model_name", "passThrough"]
    return [sys.executable, "-m", "stream_client", "batch", *what, *more]


def _labels(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "labels").iterdir()}


def _counts(output: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(output / "manifest.parquet", columns=list(COUNTS)).to_pylist()
    return found


class Watch:
    """Sees when results are moved into place."""

    def __init__(self, output: Path) -> None:
        self._folder = output / "labels"
        self._seen: dict[str, int] = {}
        self.twice = 0

    def look(self) -> None:
        """Count those that have come a second time."""
        for path in self._folder.glob("*"):
            made = path.stat().st_mtime_ns
            self.twice += self._seen.get(path.name, made) != made
            self._seen[path.name] = made


def trial(videos: int, nodes: int, every: float, chance: random.Random) -> Report:
    """One batch with kills, and one without."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive, hit, quiet = folder / "archive", folder / "hit", folder / "quiet"
        archive.mkdir()
        for number in range(videos):
            write_video(archive / f"{number:03}.mp4", frames=FRAMES)
        slow = stack.enter_context(graph_server_process(*ECHO, "--fault", f"rate={SERVER_RATE}"))
        fast = stack.enter_context(graph_server_process(*ECHO))
        cluster = stack.enter_context(RayCluster())
        alive = [cluster.add() for _ in range(nodes)]
        load, began, killed = os.getloadavg()[0], time.monotonic(), 0
        ray = ("--engine", "ray", "--address", cluster.address)
        said = folder / "said.txt"
        with said.open("w") as file, subprocess.Popen(_command(archive, hit, slow.address, *ray), stderr=file) as batch:
            stack.callback(batch.kill)
            watch, due = Watch(hit), time.monotonic() + every
            while batch.poll() is None:
                watch.look()
                if time.monotonic() >= due and list((hit / "labels").glob("*")):
                    cluster.kill(alive.pop(chance.randrange(len(alive))))
                    killed += 1
                    alive.append(cluster.add())
                    due = time.monotonic() + every * chance.uniform(0.5, 1.5)
                time.sleep(0.05)
        seconds = time.monotonic() - began
        watch.look()
        lines = said.read_text()
        assert batch.returncode == 0, lines
        subprocess.run(_command(archive, quiet, fast.address), check=True, stderr=subprocess.DEVNULL)
        return Report(
            videos,
            killed,
            lines.count("its task was lost"),
            sum(row["status"] == "done" for row in _counts(hit)),
            _labels(hit) == _labels(quiet),
            _counts(hit) == _counts(quiet),
            watch.twice,
            seconds,
            load,
        )


def main() -> int:
    """Run, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between two kills, about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = trial(options.videos, options.nodes, options.every, random.Random(options.seed))
    for name, value in asdict(report).items():
        print(f"{name.replace('_', ' ')}: {value:.1f}" if isinstance(value, float) else f"{name}: {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(report), indent=1) + "\n")
    right = report.same_labels and report.same_counts and report.done == report.videos and not report.made_twice
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
