"""HOTA, MOTA and IDF1 against the truth, beside the ByteTrack of another package on the same boxes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.environments import interpreter_of

pytestmark = pytest.mark.environment
EQUAL = 0.99
"""Ours over the library's; benchmarks/README.md has the figures of longer sequences."""


def test_our_bytetrack_is_as_good_as_the_librarys_on_the_same_boxes(tmp_path: Path) -> None:
    interpreter_of("trackers")
    flags = ("--seconds", "6", "--rounds", "1", "--json", str(tmp_path / "figures.json"))
    command = [sys.executable, str(ROOT / "benchmarks" / "tracking.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "figures.json").read_text())
    for name in ("3 persons", "12 persons", "2 who cross"):
        ratios = {measure: found["ratios"][f"{measure}: {name}"] for measure in ("HOTA", "MOTA", "IDF1")}
        assert min(ratios.values()) > EQUAL, ratios
        assert found["figures"][name]["ours"]["switches"] == 0
    hidden = found["figures"]["4, hidden for 1 s"]
    assert hidden["ours"]["switches"] <= hidden["trackers"]["switches"]
