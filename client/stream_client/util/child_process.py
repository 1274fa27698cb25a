"""A child process whose first line of output says that it is ready."""

import logging
import queue
import subprocess
import threading
from collections.abc import Sequence
from typing import IO


class ChildProcess:
    """A process, and the two threads that read its output. Its standard error goes to ``log``, line by line.

    Its standard input is a pipe that closes with this process, so that the child can tell.
    """

    def __init__(self, command: Sequence[str], name: str, log: logging.Logger) -> None:
        self._name = name
        self._log = log
        self._first_line: queue.Queue[str] = queue.Queue(maxsize=1)
        self._last_words: list[str] = []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the whole foreground group. This child must work until its owner closes it.
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=read, args=(pipe,), name=f"{name} output", daemon=True)
            for pipe, read in ((self._process.stdout, self._read_output), (self._process.stderr, self._read_errors))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Its exit status, ``None`` while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def first_line(self, timeout: float) -> str:
        """Wait for the line; empty when the process has ended without one. Raises :class:`TimeoutError`."""
        try:
            line = self._first_line.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if not line:
            self._process.wait()
            for thread in self._threads:
                thread.join()
        return line

    @property
    def last_words(self) -> str:
        """The last lines of its standard error, or its exit status."""
        return "; ".join(self._last_words[-3:]) or f"exit status {self._process.returncode}"

    def terminate(self) -> None:
        """Ask it to end. Safe from any thread."""
        self._process.terminate()

    def close(self, timeout: float) -> None:
        """End it: first by closing its input, after ``timeout`` seconds by killing it."""
        process = self._process
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()

    def _read_output(self, pipe: IO[str]) -> None:
        self._first_line.put(pipe.readline())
        for _ in pipe:  # the child must never wait for a reader
            pass

    def _read_errors(self, pipe: IO[str]) -> None:
        for line in pipe:
            text = line.rstrip()
            if text:
                self._last_words = [*self._last_words[-9:], text]
                self._log.info("%s: %s", self._name, text)
