"""Every attack in its short form, against real processes."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SLOWER = 10
"""How many times as long everything may take on a busy machine; `make attack` holds a quiet one to its seconds."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("against", ["server", "client"])
def test_attacks_cost_no_more_than_is_stated(against: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "attack.py"), "--short", "--json", "--against", against]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    figures = json.loads(run.stdout)
    assert figures
    slow = [figure for figure in figures if figure["unit"] == "s"]
    assert not [figure for figure in slow if figure["value"] > SLOWER * figure["bound"]]
    assert not [figure for figure in figures if not figure["holds"] and figure not in slow]
    assert run.returncode == int(not all(figure["holds"] for figure in figures)), run.stderr
