"""Waiting for what has no event to wait for."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def wait_until(ask: Callable[[], T], *, seconds: float = 30.0, pause: float = 0.02) -> T:
    """The first answer of ``ask`` that is true, asked every ``pause`` seconds; fails after ``seconds`` without one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"nothing came within {seconds:g} s"
        time.sleep(pause)
    return answer


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until ``process`` has written ``count`` lines to ``path``; fails when it ends before that."""

    def written() -> bool:
        assert process.poll() is None, "the process has ended"
        return path.exists() and path.read_text().count("\n") >= count

    wait_until(written)
