"""Batches on a Ray cluster whose nodes are killed, with a real graph server."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.client import run_here
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.ray_cluster import RayCluster
from tests.support.video import write_video
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(240)  # Ray's processes start slowly on a machine that is busy
FRAMES = 24
VIDEOS = 10


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster() as cluster:
        cluster.add(site="north")
        yield cluster


@pytest.fixture(scope="module")
def slow_server() -> Iterator[str]:
    """Takes 60 frames a second: a batch lasts for seconds."""
    with graph_server_process(*ECHO, "--fault", "rate=60") as server:
        yield server.address


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(VIDEOS):
        write_video(folder / f"{number}.mp4", frames=FRAMES)
    return folder


def batch(archive: Path, output: Path, server: str, *more: str) -> list[str]:
    given = [str(archive), "--output", str(output), "--grpc_address", server, "--model_name", "passThrough"]
    return ["batch", *given, *more]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "stream_client", *arguments], stderr=subprocess.PIPE, text=True)


def lives(process: subprocess.Popen[str]) -> bool:
    """Fails with what a process said that has ended."""
    assert process.poll() is None, process.stderr and process.stderr.read()
    return True


def done(output: Path) -> int:
    return len(list((output / "manifest").glob("*.json")))


def labels(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "labels").iterdir()}


def counts(output: Path) -> list[dict[str, Any]]:
    columns = ["key", "address", "status", "settings", "checksum", "frames", "delivered", "error"]
    rows: list[dict[str, Any]] = pq.read_table(output / "manifest.parquet", columns=columns).to_pylist()
    return rows


def test_a_batch_whose_nodes_and_driver_are_killed_equals_one_without(
    cluster: RayCluster, archive: Path, tmp_path: Path, pass_through_server: str, slow_server: str
) -> None:
    quiet, hit = tmp_path / "quiet", tmp_path / "hit"
    assert run_here(*batch(archive, quiet, pass_through_server)).returncode == 0
    ray = ("--engine", "ray", "--address", cluster.address)

    second = cluster.add()
    with start(batch(archive, hit, slow_server, *ray)) as first:
        wait_until(lambda: lives(first) and done(hit) >= 1, seconds=120)
        cluster.kill(second)
        before = done(hit)
        wait_until(lambda: lives(first) and done(hit) > before, seconds=120)
        first.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in (hit / "labels").iterdir()}
    assert 2 <= done(hit) < VIDEOS

    again = run_here(*batch(archive, hit, pass_through_server, *ray))
    assert again.returncode == 0, again.stderr
    assert labels(hit) == labels(quiet)
    assert counts(hit) == counts(quiet)
    assert [row["status"] for row in counts(hit)] == VIDEOS * ["done"]
    assert len(kept) >= 2
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())  # none was made twice
    assert [json.loads(line)["frame"] for line in next(iter(labels(hit).values())).splitlines()] == list(range(FRAMES))
    assert not (hit / ".work").exists()


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        (("--engine", "ray"), 2, "an embedded server serves only this machine: name one"),
        (("--engine", "ray", "--address", "nowhere", "--grpc_address", "a:1"), 2, "'nowhere' is no address of a Ray"),
        (("--engine", "ray", "--address", "127.0.0.1:1", "--grpc_address", "a:1"), 1, "no Ray cluster at 127.0.0.1:1"),
        (("--engine", "ray", "--grpc_address", "a:1"), 1, "no Ray cluster runs on this machine"),
        (("--address", "auto"), 2, "an address is that of a Ray cluster (--engine ray)"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], status: int, text: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    refused = run_here("batch", archive, "--output", tmp_path / "out", *more)
    assert text in refused.stderr
    assert refused.returncode == status
