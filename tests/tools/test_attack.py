"""Every attack in its short form, against real processes."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.mark.timeout(600)
@pytest.mark.parametrize("against", ["server", "client"])
def test_attacks_cost_no_more_than_is_stated(against: str) -> None:
    found = attacked(against)
    if {figure["unit"] for figure in found if not figure["holds"]} == {"s"}:  # other work beside it may be why: once
        found = attacked(against)
    assert not [figure for figure in found if not figure["holds"]]


def attacked(against: str) -> list[dict[str, Any]]:
    """What the attacks cost, with the bounds that are stated."""
    command = [sys.executable, str(ROOT / "tools" / "attack.py"), "--short", "--json", "--against", against]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    figures: list[dict[str, Any]] = json.loads(run.stdout)
    assert figures
    assert run.returncode == int(not all(figure["holds"] for figure in figures)), run.stderr
    return figures
