"""The fleet in simulated time, in a short form."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_every_frame_of_a_simulated_fleet_has_its_end(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    # With fewer cells the work of each is told by the chance of who was killed.
    sizes = (
        "--cameras",
        "384",
        "--servers",
        "64",
        "--cells",
        "16",
        "--processes",
        "1",
        "--fps",
        "2",
        "--seconds",
        "24",
    )
    command = [sys.executable, str(ROOT / "benchmarks" / "fleet_simulation.py"), *sizes, "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "four times the cells: what a component does for a frame" in done.stdout
    few, whole, small = json.loads(report.read_text())
    assert [each["cameras"] for each in (few, whole, small)] == [96, 384, 96]
    for run in (few, whole, small):
        phases = {each["phase"]: each for each in run["phases"]}
        ended = sum(each["frames"] for each in run["phases"])
        assert ended == run["frames"] - run["unended"]
        assert run["unended"] <= 2 * run["cameras"]  # one that waits, and one in flight
        assert set(run["work"]["steps"]) == {"balancing", "flow control", "placement", "watch"}
    for run in (few, whole):
        phases = {each["phase"]: each for each in run["phases"]}
        assert run["updated"] > 0
        assert phases["calm"]["dropped"] < 0.1
        assert phases["killed"]["failed"] > 0
        assert sum(each["failed"] for name, each in phases.items() if name not in ("killed", "update")) == 0
    for component in ("balancing", "flow control", "watch"):  # cells share nothing
        assert whole["work"]["steps"][component] < 1.5 * few["work"]["steps"][component]
