"""The client as a user runs it: in a process of its own, or here."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

from stream_client.cli.command import main
from tests.conftest import ROOT


def run_client(*arguments: object) -> subprocess.CompletedProcess[str]:
    """``python client.py`` with these arguments, in its folder, to its end."""
    command = [sys.executable, "client.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT / "client", capture_output=True, text=True, timeout=110, check=False)


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same within the test's own process, without half a second of imports."""
    given = list(map(str, arguments))
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            status = main(given)
        except SystemExit as end:
            status = int(str(end.code))
    return subprocess.CompletedProcess(given, status, output.getvalue(), errors.getvalue())
