"""The videos of a batch as tasks of a Ray cluster."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.job import Batch, abandoned
from stream_client.fleet.batch.manifest import Record
from stream_client.fleet.batch.pool import ATTEMPTS
from stream_client.fleet.batch.steps import run_task
from stream_client.fleet.batch.tasks import Answer, Task, Work
from stream_client.plain_text import one_line
from stream_client.util.redact import redact

if TYPE_CHECKING:
    from ray import ObjectRef

logger = logging.getLogger(__name__)

_QUEUED = 2
"""Tasks for each core of the cluster: none waits for this process when it has ended one."""
_LOOK_SECONDS = 5.0
"""So often the size of the cluster is looked at."""


class RayPool:
    """Works on ``videos``, each on a core of some node; ``count`` at a time, by default as many as there are cores.

    ``ray`` is connected. A task that is lost with its process or its node is tried again, on any node. All nodes see
    the folders of the batch under the same names as this process does.
    """

    def __init__(self, ray: ModuleType, batch: Batch, videos: Sequence[Video], count: int | None = None) -> None:
        self._ray = ray
        self._batch = batch
        self._count = count
        self._work = Work(videos)
        self._running: dict[ObjectRef[Answer], Task] = {}
        self._lost: Counter[Task] = Counter()
        self._warned = False
        self._folder = os.getcwd()
        # Tried again by this class: Ray's own retries tell nobody.
        self._remote = ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")(_work)

    def __enter__(self) -> "RayPool":
        return self

    def __exit__(self, *exception: object) -> None:
        for reference in self._running:
            with suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.cancel(reference, force=True)

    def records(self) -> Iterator[Record]:
        """The record of each video as soon as it is there."""
        while self._work.left:
            self._fill()
            if not self._running:
                continue
            ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK_SECONDS)
            for reference in ended:
                record = self._ended(reference, self._running.pop(reference))
                if record is not None:
                    yield record

    def _fill(self) -> None:
        cores = self._ray.cluster_resources().get("CPU", 0)
        if cores < 1 and not self._warned:
            self._warned = True
            logger.warning("no node of the cluster has a free CPU: the videos wait for one")
        most = self._count or max(1, round(_QUEUED * cores))
        while len(self._running) < most and (task := self._work.take(wait=False)) is not None:
            remote = self._remote.options(name=f"batch {task.video.key} {task.step}")
            self._running[remote.remote(self._batch, task, self._folder)] = task

    def _ended(self, reference: "ObjectRef[Answer]", task: Task) -> Record | None:
        """The record of a video that a task has ended; ``None`` where more is to be done, or the task again."""
        video = task.video
        errors = self._ray.exceptions
        try:
            answer: Answer = self._ray.get(reference)
        except errors.RayTaskError as error:  # nothing that another attempt would mend
            answer = abandoned(self._batch, video, f"the node cannot work: {redact(one_line(_cause(error)))}")
        except errors.RayError as error:
            self._lost[task] += 1
            if self._lost[task] < ATTEMPTS:
                name = type(error).__name__
                logger.warning("%s: its task was lost (%s); it is tried again", redact(video.address), name)
                self._work.give_back(task)
                return None
            answer = abandoned(self._batch, video, f"its worker ended {ATTEMPTS} times")
        return self._work.answer(task, answer)


def _work(batch: Batch, task: Task, folder: str) -> Answer:
    """The body of a task. Relative names are those of the process that began the batch."""
    os.chdir(folder)
    return run_task(batch, task)


def _cause(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}"
