"""Servers of others, from PyPI, each in a virtual environment of its own that is made once."""

import subprocess
import urllib.request
import venv
from pathlib import Path

from tests.conftest import ROOT
from tests.support.waiting import wait_until


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

    def answers() -> bool:
        assert process.poll() is None, "the process has ended"
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, seconds=seconds, pause=0.2)
    except AssertionError as error:
        raise AssertionError(f"{url}: {error}\n{log.read_text()}") from error
