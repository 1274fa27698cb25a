"""The fleet's end of a worker process: started again whenever it ends."""

import logging
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from stream_client.fleet.messages import Assignment, Report
from stream_client.util.backoff import Backoff
from stream_client.util.owned_thread import OwnedThread

logger = logging.getLogger(__name__)

HANGS_SECONDS = 60.0
"""A worker that says nothing for so long is killed. One that loads a model may be silent for a while."""
_KILLED_SECONDS = 5.0
"""A process that was killed has ended by then, on a busy machine too."""
_LASTING = 30.0
"""Seconds. A worker that lived so long did not fail at its start: the next one starts at once."""


class WorkerProcess:
    """Starts the process when it is made. Safe from any thread."""

    END_SECONDS = 1.6
    """Its streams have ended by then. Ctrl-C ends a fleet within two."""

    def __init__(self, number: int) -> None:
        self._name = f"fleet worker {number}"
        self._lock = threading.Lock()
        self._assignment = Assignment()
        self._report = Report()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Assignment, Report] | None = None
        self._stopping = threading.Event()
        self._backoff = Backoff(0.2, 10.0)
        self._thread = OwnedThread(self._serve, self._name, limit=self.END_SECONDS + 0.1)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process id, ``None`` while there is no process."""
        with self._lock:
            return None if self._process is None else self._process.pid

    @property
    def assignment(self) -> Assignment:
        """What it shall run."""
        return self._assignment

    @property
    def report(self) -> Report:
        """What it said last; empty before its first word, and after its end."""
        return self._report

    def assign(self, assignment: Assignment) -> None:
        """Let it run these streams. Returns at once."""
        with self._lock:
            if assignment != self._assignment:
                self._assignment = assignment
                self._send()

    def stop(self) -> None:
        """Ask it to end. Returns at once."""
        self._stopping.set()
        self._thread.expect_end()
        with self._lock:
            if self._process is not None:
                self._process.terminate()

    def join(self, until: float) -> None:
        """Wait for its end after :meth:`stop`; kill it at ``until`` of :func:`time.monotonic`."""
        process = self._process
        if process is not None:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                with suppress(subprocess.TimeoutExpired):  # it hangs in the system
                    process.wait(_KILLED_SECONDS)
        self._thread.join()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            connection = self._start()
            try:
                self._receive(connection)
            finally:
                status = self._end(connection)
            if self._stopping.is_set():
                return
            logger.warning("%s ended with status %d: its streams start again in a new one", self._name, status)
            if time.monotonic() - began > _LASTING:
                self._backoff.reset()
            self._stopping.wait(self._backoff.next())

    def _start(self) -> "Connection[Assignment, Report]":
        ours, theirs = Pipe()
        command = (sys.executable, "-m", "stream_client.fleet.worker")
        with self._lock, theirs:
            # Ctrl-C reaches the whole foreground group. This child must work until its owner ends it.
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
            self._connection = ours
            self._send()
            if self._stopping.is_set():
                self._process.terminate()
        return ours

    def _send(self) -> None:
        """Under the lock."""
        if self._connection is not None:
            with suppress(OSError):  # it has ended: the next process gets it
                self._connection.send(self._assignment)

    def _receive(self, connection: "Connection[Assignment, Report]") -> None:
        with suppress(EOFError, OSError):
            while connection.poll(HANGS_SECONDS):
                self._report = connection.recv()
            logger.warning("%s said nothing for %.0f s: it is killed", self._name, HANGS_SECONDS)

    def _end(self, connection: "Connection[Assignment, Report]") -> int:
        assert self._process is not None
        if not self._stopping.is_set():
            self._process.kill()
        status = self._process.wait()
        with self._lock:
            self._connection, self._process = None, None
            self._report = Report()
        connection.close()
        return status
