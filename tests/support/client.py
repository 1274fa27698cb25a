"""The client as a user runs it: a process of its own."""

import subprocess
import sys

from tests.conftest import ROOT


def run_client(*arguments: object) -> subprocess.CompletedProcess[str]:
    """``python client.py`` with these arguments, in its folder, to its end."""
    command = [sys.executable, "client.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT / "client", capture_output=True, text=True, timeout=55, check=False)
