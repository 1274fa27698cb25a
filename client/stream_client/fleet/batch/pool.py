"""The worker processes of a batch. Each has a thread that gives it tasks and takes its answers."""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.job import Batch, abandoned
from stream_client.fleet.batch.manifest import Record
from stream_client.fleet.batch.tasks import Answer, Parts, Task, Work
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a task may end its worker before its video counts as failed."""


class SpareWorkers:
    """Worker processes that start before their batch is known, beside its server. A context manager: at its end those
    that nobody took have ended.
    """

    def __init__(self, count: int) -> None:
        self.processes = [_spawn() for _ in range(count)]
        """Those that wait."""

    def __enter__(self) -> "SpareWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        while (process := self.take()) is not None:
            process.kill()
            _close(process)
            process.wait()

    def take(self) -> subprocess.Popen[str] | None:
        """One of them, ``None`` when there is none left; safe from any thread."""
        try:
            return self.processes.pop()
        except IndexError:
            return None


class WorkerPool:
    """Runs ``count`` workers over ``videos``, by default one for each core. At its end every worker has ended.

    A worker that dies is replaced, and its task is tried again. ``spares`` are taken first.
    """

    def __init__(
        self, batch: Batch, videos: Sequence[Video], count: int | None = None, *, spares: SpareWorkers | None = None
    ) -> None:
        count = count or usual_workers()
        self._spares = spares
        self._batch = batch
        self._tasks = Work(videos)
        self._left = len(videos)
        self._records: queue.SimpleQueue[Record | BaseException] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        most = count if batch.split is not None else min(count, self._left)
        self._threads = [OwnedThread(self._serve, f"batch worker {number}") for number in range(most)]

    def __enter__(self) -> "WorkerPool":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._tasks.stop()
        with self._lock:
            for process in self._processes:
                process.kill()
        for thread in self._threads:
            thread.expect_end()
            thread.join()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that live now."""
        with self._lock:
            return [process.pid for process in self._processes]

    def records(self) -> Iterator[Record]:
        """The record of each video as soon as it is there."""
        while self._left:
            record = self._records.get()
            if isinstance(record, BaseException):
                raise record
            self._left -= 1
            yield record

    def _serve(self) -> None:
        try:
            process: subprocess.Popen[str] | None = None
            while (task := self._tasks.take()) is not None:
                process, answer = self._work_on(task, process)
                record = None if answer is None else self._tasks.answer(task, answer)
                if record is not None:
                    self._records.put(record)
            if process is not None:
                self._end(process)
        except Exception as error:  # noqa: BLE001 - raised in the owner's thread
            self._records.put(error)

    def _work_on(
        self, task: Task, process: subprocess.Popen[str] | None
    ) -> tuple[subprocess.Popen[str] | None, Answer | None]:
        """The worker that may take the next task, and the answer; none when the pool is stopping."""
        video = task.video
        for _ in range(ATTEMPTS):
            if self._stopping.is_set():
                return process, None
            process = process or self._start()
            line = _ask(process, task)
            if line:
                return process, _answer(json.loads(line))
            status = self._end(process)
            process = None
            if not self._stopping.is_set():
                logger.warning("%s: its worker ended with status %d; it is tried again", redact(video.address), status)
        return process, abandoned(self._batch, video, f"its worker ended {ATTEMPTS} times")

    def _start(self) -> subprocess.Popen[str]:
        process = (self._spares.take() if self._spares is not None else None) or _spawn()
        with self._lock:
            self._processes.add(process)
        if self._stopping.is_set():
            process.kill()
        _write(process, {**asdict(self._batch), "output": str(self._batch.output)})
        return process

    def _end(self, process: subprocess.Popen[str]) -> int:
        """Close a worker; its exit status."""
        with self._lock:
            self._processes.discard(process)
        _close(process)
        return process.wait()


def usual_workers() -> int:
    """One for each core."""
    return len(os.sched_getaffinity(0))


def _spawn() -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "stream_client.fleet.batch.worker")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(process: subprocess.Popen[str], task: Task) -> str:
    """The line of a task's answer; empty where the worker has ended."""
    _write(process, (task.video.address, task.step))
    assert process.stdout is not None
    return process.stdout.readline()


def _answer(given: dict[str, Any]) -> Answer:
    return Parts(tuple(given["missing"])) if "missing" in given else Record(**given)


def _write(process: subprocess.Popen[str], value: object) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it has ended: the missing answer shows it
        process.stdin.write(json.dumps(value, default=str) + "\n")
        process.stdin.flush()


def _close(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(OSError):  # what it did not take is no loss: it has ended
            pipe.close()
