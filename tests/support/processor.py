"""What processor time processes take, in groups, while some are killed and others take their place."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path


class Processor:
    """Of groups of processes; ``None`` is this one."""

    def __init__(self, groups: dict[str, Callable[[], Sequence[int | None]]]) -> None:
        self._groups = groups
        self._seconds: dict[int, float] = {}
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.look()
        self.spent.clear()

    def look(self) -> None:
        """Add what each has used since the last look."""
        for group, pids in self._groups.items():
            for pid in pids():
                with suppress(OSError):  # it has just been killed
                    seconds = _processor_seconds("self" if pid is None else str(pid))
                    self.spent[group] += seconds - self._seconds.get(pid or 0, 0.0)
                    self._seconds[pid or 0] = seconds

    def text(self, seconds: float, frames: int) -> str:
        """What a frame has cost."""
        parts = [f"{name} {1000 * spent / max(1, frames):.2f}" for name, spent in self.spent.items()]
        cores = sum(self.spent.values()) / seconds
        return f"processor time, ms a frame: {', '.join(parts)}; in all {cores:.2f} of {os.cpu_count()} cores"


def _processor_seconds(process: str) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
