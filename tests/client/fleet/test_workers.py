"""Streams spread over processes, which are killed, with a real graph server."""

import os
import pickle
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stream_client.fleet.workers import WorkerFleet
from tests.client.fleet.test_fleet import plan, running_fleet
from tests.support.client import run_here
from tests.support.video import write_video
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(240)  # each worker is a process that imports, and some are started again
SOURCE = "testsrc:160x120@15"


def lives(pid: int | None) -> bool:
    try:
        return pid is not None and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def fleet() -> Iterator[WorkerFleet]:
    with WorkerFleet(2) as fleet:
        yield fleet
        pids = fleet.pids
    assert not any(lives(pid) for pid in pids)


def delivered(fleet: WorkerFleet) -> dict[str, int]:
    return {each.name: each.delivered for each in fleet.status()}


def test_a_worker_that_is_killed_is_replaced(fleet: WorkerFleet, pass_through_server: str) -> None:
    plans = [plan(name, SOURCE, pass_through_server) for name in ("a", "b", "c", "d")]
    assert fleet.apply(plans) == {}
    wait_until(lambda: all(count > 5 for count in delivered(fleet).values()), seconds=60)
    counts, (first, second) = delivered(fleet), fleet.pids
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(
        lambda: fleet.pids[0] not in (first, None) and all(count > 5 for count in delivered(fleet).values()), seconds=60
    )
    assert fleet.pids[1] == second
    later = delivered(fleet)
    assert sum(later[name] > counts[name] for name in later) >= 2  # those of the other worker
    assert not lives(first)


def test_streams_are_spread_and_changed_as_a_difference(
    fleet: WorkerFleet, tmp_path: Path, pass_through_server: str
) -> None:
    first, second = plan("a", SOURCE, pass_through_server), plan("b", SOURCE, pass_through_server)
    fleet.apply([first, second])
    wait_until(lambda: all(count > 5 for count in delivered(fleet).values()))
    clip = write_video(tmp_path / "clip.mp4", frames=30)
    wrong = plan("wrong", SOURCE, pass_through_server, labels="missing.txt")
    assert "missing.txt" in fleet.apply([first, plan("file", str(clip), pass_through_server), wrong], {"a"})["wrong"]
    wait_until(lambda: [(each.name, each.state) for each in fleet.status()] == [("a", "paused"), ("file", "ended")])
    assert delivered(fleet)["file"] == 30
    fleet.apply([first], ())
    before = delivered(fleet)["a"]
    wait_until(lambda: delivered(fleet)["a"] > before + 5 and len(fleet.status()) == 1)


def test_what_shows_only_in_the_worker_is_in_the_status(fleet: WorkerFleet, pass_through_server: str) -> None:
    fleet.apply([plan("a", SOURCE, pass_through_server, classifier="/nowhere")])
    wait_until(lambda: "/nowhere" in fleet.status()[0].problem)
    assert fleet.status()[0].state == "stopped"


def test_statistics_go_to_another_process_whole(fleet: WorkerFleet, pass_through_server: str) -> None:
    fleet.apply([plan("a", SOURCE, pass_through_server)])
    wait_until(lambda: delivered(fleet)["a"] > 5 and fleet.statistics())
    (measured,) = fleet.statistics()
    snapshot = measured.snapshot()
    assert (snapshot.stream, snapshot.model) == ("a", "passThrough")
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot
    fleet.look({"a"})
    wait_until(lambda: fleet.pictures().get("a", b"").startswith(b"\xff\xd8"))
    fleet.look(())
    assert fleet.pictures() == {}


def written(path: Path, address: str, *names: str) -> Path:
    path.write_text(
        f'[defaults]\ngrpc_address = "{address}"\nmodel_name = "passThrough"\noutput_stream = "none"\n'
        + "".join(f'[streams.{name}]\ninput_stream = "{SOURCE}"\n' for name in names)
    )
    return path


def children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():  # children are listed by the thread that made them
        with suppress(FileNotFoundError):  # the thread has just ended
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def test_the_command_ends_all_its_processes(tmp_path: Path, pass_through_server: str) -> None:
    path = written(tmp_path / "streams.toml", pass_through_server, "one", "two", "three")
    with running_fleet(path, "--workers", "2", "--metrics_port", "0") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        wait_until(lambda: metric(url, "stream_client_frames_total") == {"one", "two", "three"})
        workers = children(process.pid)
        assert len(workers) == 2
    assert not any(lives(pid) for pid in workers)


def test_workers_end_when_the_fleet_is_killed(tmp_path: Path, pass_through_server: str) -> None:
    path = written(tmp_path / "streams.toml", pass_through_server, "one", "two")
    command = [sys.executable, "-m", "stream_client", "fleet", str(path), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: run_here("fleet", path, "--status").stdout.count("running") == 2)
            workers = children(process.pid)
            assert len(workers) == 2
        finally:
            process.kill()
    wait_until(lambda: not any(lives(pid) for pid in workers))


def test_a_number_of_workers_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "streams.toml", "localhost:1", "one")
    done = run_here("fleet", path, "--workers", "0")
    assert done.returncode == 2
    assert "0 is out of range: 1 to 64 (--workers)" in done.stderr


def metric(url: str, name: str) -> set[str]:
    """The streams that have that metric above 0."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith(name + "{")]
    return {line.partition('stream="')[2].partition('"')[0] for line in lines if float(line.split()[-1]) > 0}
