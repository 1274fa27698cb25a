"""The memory of a process under attack."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Watched(Protocol):
    """A process, and the most memory that it was seen with, in MiB."""

    pid: int
    peak: float


def resident(pid: int) -> float:
    """The resident memory of a process in MiB, 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


@contextmanager
def sampled(process: Watched) -> Iterator[None]:
    """Keep the peak of ``process`` up to date, fifty times a second, until the block ends."""
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.02):
            process.peak = max(process.peak, resident(process.pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
