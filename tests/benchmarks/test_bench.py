"""The bench, its history, picture and comparisons: real processes and git, with benchmarks that measure nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT

PARTS = ("suite", "machine", "history", "bench", "compare", "picture", "mediapipe_peer")
pytestmark = pytest.mark.timeout(180)
SHORT = ("client_overhead", "latency_under_load", "wire", "holistic_parity", "holistic_speed", "end_to_end")
MEASURED = """
import json, pathlib, sys
value = json.loads(pathlib.Path("value.json").read_text())
if value == 0:
    print("it needs root")
    sys.exit(77)
if value is None:
    sys.exit("there is no server\\nno server on this port")
ratios = {"throughput": value, "cpu": 1 / value, "sign_again": value, "not in the table": 9.0}
ours = {"ours, frames_per_second": 10 * value, "ours, CPU": 3.0 + 0.001 * len(list(pathlib.Path(".").iterdir()))}
ours |= {"nothing": 0.0}
pathlib.Path(sys.argv[-1]).write_text(json.dumps({"ratios": ratios, "ours": ours}))
"""


def git(place: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    return subprocess.run(
        ["git", "-C", str(place), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout


def commit(place: Path, value: float | None) -> None:
    (place / "value.json").write_text(json.dumps(value))
    git(place, "add", ".")
    git(place, "commit", "--quiet", "--message", f"value {value}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the bench, whose benchmarks find what value.json says: 4 at first, 2 in the last commit."""
    place = tmp_path / "checkout"
    (place / "benchmarks").mkdir(parents=True)
    for part in PARTS:
        shutil.copy(ROOT / "benchmarks" / f"{part}.py", place / "benchmarks")
    for script in SHORT:
        (place / "benchmarks" / f"{script}.py").write_text(MEASURED)
    git(place, "init", "--quiet")
    commit(place, 4.0)
    commit(place, 2.0)
    return place


def call(place: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(place / "benchmarks" / f"{script}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def runs(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "benchmarks/history.jsonl").read_text().splitlines()]


def test_each_bench_is_a_table_and_one_line_of_history(checkout: Path) -> None:
    first = call(checkout, "bench", "--size", "short")
    assert first.returncode == 0, first.stderr
    (checkout / "value.json").write_text("3.5")
    second = call(checkout, "bench", "--size", "short")
    found, later = runs(checkout)
    assert found["ratios"]["client"] == {"throughput": 2.0, "cpu": 0.5}
    assert (found["commit"], found["changed"]) == (git(checkout, "rev-parse", "--short=12", "HEAD").strip(), False)
    assert later["changed"]
    assert {"python", "numpy", "mediapipe"} <= set(found["machine"]["versions"])
    assert 0 <= found["others"] <= 1
    lines = first.stdout.splitlines()
    assert found["machine"]["cpu"] in lines[0]
    row = next(line for line in lines if "frames/s, shared memory" in line)
    assert row.split()[-5:] == ["-", "2", "≥", "3", "no"]
    row = next(line for line in second.stdout.splitlines() if "frames/s, shared memory" in line)
    assert row.split()[-5:] == ["-", "3.5", "≥", "3", "2"], "the goal is met; the run before had 2"


def test_what_fails_is_named_and_the_rest_is_measured(checkout: Path) -> None:
    (checkout / "benchmarks/wire.py").write_text("import sys; sys.exit('no network')")
    done = call(checkout, "bench", "--size", "short")
    assert done.returncode == 1
    assert "wire was not measured: no network" in done.stdout
    assert runs(checkout)[0]["missing"]["wire"] == "no network"
    assert "client" in runs(checkout)[0]["ratios"]


def test_what_this_machine_cannot_run_is_named_and_is_no_failure(checkout: Path) -> None:
    commit(checkout, 0)
    done = call(checkout, "bench", "--size", "short", "--only", "client")
    assert done.returncode == 0
    assert "it needs root" in done.stdout


def test_a_part_of_the_bench_is_not_kept(checkout: Path) -> None:
    done = call(checkout, "bench", "--size", "short", "--only", "client")
    assert "frames/s, shared memory" in done.stdout
    assert not (checkout / "benchmarks/history.jsonl").exists()
    assert "--size short has none of scale" in call(checkout, "bench", "--size", "short", "--only", "scale").stderr


def test_the_picture_is_of_the_last_run_and_depends_on_nothing_else(checkout: Path, tmp_path: Path) -> None:
    call(checkout, "bench", "--size", "short")
    pictures = tmp_path / "a.svg", tmp_path / "b.svg"
    for picture in pictures:
        assert call(checkout, "picture", "--out", str(picture)).returncode == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    drawn = " ".join(ElementTree.parse(pictures[0]).getroot().itertext())
    assert "The client's cost, 1920x1080 there and back: CPU a frame, shared memory" in drawn
    assert "commit " + git(checkout, "rev-parse", "--short=7", "HEAD").strip() in drawn
    assert "there is no full run of the bench to draw" in call(checkout, "picture", "--size", "full").stderr


def test_a_broken_history_is_refused_before_anything_is_measured(checkout: Path) -> None:
    (checkout / "benchmarks/history.jsonl").write_text('{"time": 1}\n')
    for script in ("bench", "picture"):
        done = call(checkout, script)
        assert done.returncode
        assert "history.jsonl, line 1 is no run of the bench" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_comparison_runs_both_and_says_what_is_certain(checkout: Path, tmp_path: Path) -> None:
    report = tmp_path / "changes.json"
    done = call(checkout, "compare", "HEAD~1", "--only", "client", "--rounds", "2", "--json", str(report))
    assert done.returncode == 0, done.stderr
    changes = json.loads(report.read_text())["changes"]["client"]
    assert changes["ours, frames_per_second"] == {"before": 40, "after": 20, "ratio": 0.5, "low": 0.5, "high": 0.5}
    assert set(changes) == {"ours, frames_per_second", "ours, CPU"}, "what is 0 has no ratio"
    assert next(line for line in done.stdout.splitlines() if "per_second" in line).endswith("worse")
    assert git(checkout, "worktree", "list").count("\n") == 1, "the worktree is removed"


def test_a_comparison_with_no_commit_or_no_server_is_one_line(checkout: Path) -> None:
    unknown = call(checkout, "compare", "no-such-branch")
    assert unknown.returncode == 1
    assert "has no commit 'no-such-branch'" in unknown.stderr
    commit(checkout, None)
    failed = call(checkout, "compare", "HEAD", "--only", "client", "--rounds", "2")
    assert failed.stderr.splitlines() == ["compare.py: error: client: no server on this port"]
    assert git(checkout, "worktree", "list").count("\n") == 1
