"""Servers of others, from PyPI, each in a virtual environment of its own that `make environments` has made."""

import subprocess
import urllib.request
from pathlib import Path

from tests.conftest import ROOT
from tests.support.missing import missing
from tests.support.waiting import wait_until


def interpreter_of(name: str) -> Path:
    """The Python of the environment with what ``tests/environments/NAME.txt`` lists."""
    folder = ROOT / ".venvs" / name
    if not (folder / "ready").exists():
        missing(f"the environment {folder.relative_to(ROOT)}", "make environments")
    return folder / "bin" / "python"


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until ``url`` answers; a process that ends or stays silent fails with its log."""

    def answers() -> bool:
        assert process.poll() is None, "the process has ended"
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, seconds=80, pause=0.2)
    except AssertionError as error:
        raise AssertionError(f"{url}: {error}\n{log.read_text()}") from error
