"""A process that can be killed and started again."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self


class KillableProcess:
    """Runs ``command`` as long as it is a context. ``pipes`` are those of :class:`subprocess.Popen`, else silent."""

    def __init__(self, command: Sequence[str], folder: Path | None = None, **pipes: int | None) -> None:
        quiet: dict[str, int | None] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        self.command = command
        self._folder = folder
        self._pipes: Any = quiet | pipes
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, which has to run."""
        assert self._process is not None
        return self._process

    @property
    def pids(self) -> Sequence[int]:
        """The process, while there is one."""
        return () if self._process is None else (self._process.pid,)

    def start(self) -> None:
        """Run the command, also after :meth:`kill`."""
        self._process = subprocess.Popen(self.command, cwd=self._folder, **self._pipes)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power failure does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
