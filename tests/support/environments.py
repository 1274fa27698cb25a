"""Servers of others, from PyPI, each in a virtual environment of its own that is made once."""

import subprocess
import time
import urllib.request
import venv
from pathlib import Path

from tests.conftest import ROOT


def interpreter_with(name: str, *requirements: str) -> Path:
    """The Python of an environment called ``name`` below ``.venvs``, with ``requirements`` installed."""
    folder = ROOT / ".venvs" / name
    python, done = folder / "bin" / "python", folder / " ".join(requirements)
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *requirements], check=True)
        done.touch()
    return python


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, seconds: float = 80.0) -> None:
    """Wait until ``url`` answers; a process that ends or stays silent fails with its log."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer within {seconds:g} s:\n{log.read_text()}")
