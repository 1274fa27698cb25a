"""A worker process of a batch: tasks on standard input, their answers on standard output, line by line."""

import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.job import Batch
from stream_client.fleet.batch.steps import run_task
from stream_client.fleet.batch.tasks import Task


def main() -> None:
    """Work until standard input ends, and end with it. The first line is the batch."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole foreground group; the owner decides
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints, answers stay alone on their line
    line = sys.stdin.readline()
    if not line:  # the owner has no batch for it, or has died
        return
    given = json.loads(line)
    batch = Batch(**{**given, "output": Path(given["output"]), "results": tuple(given["results"])})
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs,), name="jobs", daemon=True).start()
    while True:
        address, step = json.loads(jobs.get())
        answers.write(json.dumps(asdict(run_task(batch, Task(Video(address), step)))) + "\n")
        answers.flush()


def _receive(jobs: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # the owner has all answers, or has died: results that are not complete are left


if __name__ == "__main__":
    main()
