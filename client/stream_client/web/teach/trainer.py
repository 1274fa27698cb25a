"""A training in a process of its own."""

import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.util.redact import redact

TrainingState = Literal["none", "running", "done", "failed"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_LINES = 200
TrainCommand = Callable[[Path, Path, float], Sequence[str]]
"""The command that trains on a folder of clips and writes a model directory, with windows of so many milliseconds."""


class Trainer:
    """Runs ``train`` over the clips in ``data``; models go to ``classifiers``. One at a time. A context manager.

    ``command`` makes the command of a training.
    """

    def __init__(self, data: Path, classifiers: Path, command: TrainCommand) -> None:
        self._data = data
        self._classifiers = classifiers
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._lines: deque[str] = deque(maxlen=_LINES)
        self.state: TrainingState = "none"
        self.name = ""
        """The classifier that is trained, or was the last."""

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            process, thread = self._process, self._thread
        if process is not None:
            process.kill()
        if thread is not None:
            thread.join()

    def start(self, name: str, window_ms: float) -> None:
        """Begin. Raises :class:`.ConfigurationError` where one runs already, or for a name that is none."""
        if not _NAME.fullmatch(name):
            raise ConfigurationError("the name of a classifier has up to 40 letters, digits, dashes and underscores")
        command = self._command(self._data, self._classifiers / name, window_ms)
        with self._lock:
            if self.state == "running":
                raise ConfigurationError("a training is running: wait for its end")
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
            except OSError as error:
                raise StreamClientError(f"the training cannot begin: {error.strerror}: end other programs") from error
            self.state, self.name = "running", name
            self._lines.clear()
            self._thread = threading.Thread(target=self._follow, args=(self._process,), name="training")
            self._thread.start()

    def text(self) -> str:
        """What the training has said so far: progress, accuracy, the table of confusions."""
        return "\n".join(self._lines)

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                # A bar of progress writes over its line.
                shown = redact(line.rstrip("\n").rpartition("\r")[2])
                self._lines.append(shown)
        self.state = "done" if process.wait() == 0 else "failed"
