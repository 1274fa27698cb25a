"""The worker processes of a batch. Each has a thread that gives it videos and takes its records."""

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

from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.job import Batch, abandoned
from stream_client.fleet.batch.manifest import Record
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a video may end its worker before it counts as failed."""


class WorkerPool:
    """Runs ``count`` workers over ``videos``, by default one for each core. At its end every worker has ended.

    A worker that dies is replaced, and its video is tried again.
    """

    def __init__(self, batch: Batch, videos: Sequence[Video], count: int | None = None) -> None:
        count = count or len(os.sched_getaffinity(0))
        self._batch = batch
        self._videos: queue.SimpleQueue[Video] = queue.SimpleQueue()
        for video in videos:
            self._videos.put(video)
        self._left = len(videos)
        self._records: queue.SimpleQueue[Record | BaseException] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._threads = [OwnedThread(self._serve, f"batch worker {number}") for number in range(min(count, self._left))]

    def __enter__(self) -> "WorkerPool":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
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
            while not self._stopping.is_set():
                try:
                    video = self._videos.get_nowait()
                except queue.Empty:
                    break
                process, record = self._work_on(video, process)
                if record is not None:
                    self._records.put(record)
            if process is not None:
                self._end(process)
        except Exception as error:  # noqa: BLE001 - raised in the owner's thread
            self._records.put(error)

    def _work_on(
        self, video: Video, process: subprocess.Popen[str] | None
    ) -> tuple[subprocess.Popen[str] | None, Record | None]:
        """The worker that may take the next video, and the record; none when the pool is stopping."""
        for _ in range(ATTEMPTS):
            if self._stopping.is_set():
                return process, None
            process = process or self._start()
            line = _ask(process, video)
            if line:
                return process, Record(**json.loads(line))
            status = self._end(process)
            process = None
            if not self._stopping.is_set():
                logger.warning("%s: its worker ended with status %d; it is tried again", redact(video.address), status)
        return process, abandoned(self._batch, video, f"its worker ended {ATTEMPTS} times")

    def _start(self) -> subprocess.Popen[str]:
        command = (sys.executable, "-m", "stream_client.fleet.batch.worker")
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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


def _ask(process: subprocess.Popen[str], video: Video) -> str:
    """The line of a video's record; empty where the worker has ended."""
    _write(process, video.address)
    assert process.stdout is not None
    return process.stdout.readline()


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
