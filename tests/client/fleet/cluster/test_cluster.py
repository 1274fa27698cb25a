"""Batches and fleets on a Ray cluster whose nodes are killed, with a real graph server."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from tests.support.client import run_here
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.ray_cluster import RayCluster
from tests.support.video import write_video
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(1800)
PATIENCE = 400.0
"""Seconds: on a machine that is busy, Ray's processes start slowly."""
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


@contextmanager
def start(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "stream_client", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


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


@pytest.mark.cluster
def test_a_batch_whose_nodes_and_driver_are_killed_equals_one_without(
    cluster: RayCluster, archive: Path, tmp_path: Path, pass_through_server: str, slow_server: str
) -> None:
    quiet, hit = tmp_path / "quiet", tmp_path / "hit"
    assert run_here(*batch(archive, quiet, pass_through_server)).returncode == 0
    ray = ("--engine", "ray", "--address", cluster.address)

    second = cluster.add()
    with start(batch(archive, hit, slow_server, *ray)) as first:
        wait_until(lambda: lives(first) and done(hit) >= 1, seconds=PATIENCE)
        cluster.kill(second)
        before = done(hit)
        wait_until(lambda: lives(first) and done(hit) > before, seconds=PATIENCE)
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


def fleet_file(folder: Path, server: str) -> Path:
    """Streams for nodes of two sites, one for any node, and one for a site that is not there."""
    path = folder / "cameras.toml"
    path.write_text(
        f'[defaults]\ngrpc_address = "{server}"\nmodel_name = "passThrough"\ninput_stream = "testsrc:160x120@10"\n'
        f'labels_output = "{folder}/{{stream}}.{{epoch}}.jsonl"\n'
        + "".join(f'[streams.{site}]\non = {{site = "{site}"}}\n' for site in ("north", "south", "west"))
        + "[streams.any]\n"
    )
    return path


def frames(path: Path) -> list[int]:
    """The frames in a stream's labels; none where there is no file."""
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()] if path.exists() else []


def status(path: Path, cluster: RayCluster) -> dict[str, list[str]]:
    """The columns of each stream in the table of the fleet, by its name."""
    said = run_here("fleet", path, "--engine", "ray", "--address", cluster.address, "--status")
    assert said.returncode == 0, said.stderr
    rows = [re.split(r"  +", line) for line in said.stdout.splitlines()[1:]]
    return {row[1]: row for row in rows}


@pytest.mark.cluster
def test_a_fleet_goes_on_whatever_is_killed_and_no_frame_is_twice_in_an_output(
    cluster: RayCluster, tmp_path: Path, pass_through_server: str
) -> None:
    path = fleet_file(tmp_path, pass_through_server)
    ray = ("--engine", "ray", "--address", cluster.address)
    labels = {name: tmp_path / f"{name}.1.jsonl" for name in ("north", "south", "any")}
    south = cluster.add(site="south")
    with start(["fleet", str(path), *ray]) as driver:
        wait_until(lambda: lives(driver) and all(len(frames(each)) > 5 for each in labels.values()), seconds=PATIENCE)
        wait_until(lambda: "no node has the label site=west" in status(path, cluster)["west"][-1], seconds=PATIENCE)
        driver.send_signal(signal.SIGKILL)
    (supervisor,) = cluster.actors("Supervisor")
    os.kill(supervisor, signal.SIGKILL)
    before = {name: len(frames(each)) for name, each in labels.items()}
    wait_until(lambda: all(len(frames(each)) > before[name] + 10 for name, each in labels.items()), seconds=PATIENCE)
    wait_until(lambda: status(path, cluster)["north"][2] == "running", seconds=PATIENCE)
    assert {row[7] for row in status(path, cluster).values()} == {"1"}  # all of them are where they were

    cluster.add(site="south")
    cluster.kill(south)
    second = tmp_path / "south.2.jsonl"
    wait_until(lambda: len(frames(second)) > 5, seconds=PATIENCE)
    written = frames(labels["south"])
    wait_until(lambda: status(path, cluster)["south"][2] == "running", seconds=PATIENCE)
    assert frames(labels["south"]) == written  # its first placement has written nothing since
    for each in (*labels.values(), second):
        found = frames(each)  # read once: it grows
        assert found == sorted(set(found))

    node = status(path, cluster)["north"][0].split()[1]
    drained = run_here("fleet", path, *ray, "--drain", node)
    assert drained.returncode == 0, drained.stderr
    assert node not in {row[0].split()[-1] for row in status(path, cluster).values()}
    wait_until(lambda: "no node has the label site=north" in status(path, cluster)["north"][-1], seconds=PATIENCE)

    assert run_here("fleet", path, *ray, "--stop").returncode == 0
    wait_until(lambda: not cluster.actors("StreamHost") and not cluster.actors("Supervisor"), seconds=PATIENCE)


@pytest.mark.cluster
def test_streams_without_a_server_use_that_of_their_node(cluster: RayCluster, tmp_path: Path) -> None:
    path = tmp_path / "served.toml"
    path.write_text(
        '[defaults]\nmodel_name = "passThrough"\ninput_stream = "testsrc:160x120@10"\n'
        f'labels_output = "{tmp_path}/{{stream}}.jsonl"\n[streams.a]\n[streams.b]\n'
    )
    configuration = tmp_path / "config.json"
    graph = {"name": "passThrough", "base_path": str(ROOT / "graphs" / "pass_through")}
    configuration.write_text(json.dumps({"model_config_list": [{"config": graph}]}))
    ray = ("--engine", "ray", "--address", cluster.address)
    given = ("--graph_servers", "--config_path", str(configuration))
    outputs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with start(["fleet", str(path), *ray, *given]) as driver:
        wait_until(lambda: lives(driver) and all(len(frames(each)) > 5 for each in outputs), seconds=PATIENCE)
    for server in cluster.actors("NodeServer"):  # Ray starts it again, and it has its port again
        os.kill(server, signal.SIGKILL)
    before = [len(frames(each)) for each in outputs]
    wait_until(
        lambda: all(len(frames(each)) > 5 + count for each, count in zip(outputs, before, strict=True)),
        seconds=PATIENCE,
    )
    assert {row[7] for row in status(path, cluster).values()} == {"1"}
    assert run_here("fleet", path, *ray, "--stop").returncode == 0
    wait_until(lambda: not cluster.actors("NodeServer"), seconds=PATIENCE)


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        (("--engine", "ray"), 2, "an embedded server serves only this machine: name one"),
        (("--engine", "ray", "--address", "nowhere", "--grpc_address", "a:1"), 2, "'nowhere' is no address of a Ray"),
        (("--engine", "ray", "--address", "127.0.0.1:1", "--grpc_address", "a:1"), 1, "no Ray cluster at 127.0.0.1:1"),
        (("--engine", "ray", "--grpc_address", "a:1"), 1, "no Ray cluster runs on this machine"),
        (("--engine", "ray", "--grpc_address", "a:1", "--address", "x"), 2, "'x' is no address of a Ray"),
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


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ((), 2, "stream 'a': an embedded server serves only one machine"),
        (("--workers", "2"), 2, "the nodes of a cluster have as many processes as they need (--workers)"),
        (("--status", "--address", "127.0.0.1:1"), 1, "no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_a_fleet_that_no_cluster_runs_is_refused(tmp_path: Path, more: tuple[str, ...], status: int, text: str) -> None:
    path = tmp_path / "streams.toml"
    path.write_text('[streams.a]\ninput_stream = "testsrc"\n')
    refused = run_here("fleet", path, "--engine", "ray", *more)
    assert text in refused.stderr
    assert refused.returncode == status


def test_only_a_fleet_of_a_cluster_is_drained(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text('[streams.a]\ninput_stream = "testsrc"\n')
    assert "only fleets of a cluster are drained" in run_here("fleet", path, "--drain", "a").stderr
