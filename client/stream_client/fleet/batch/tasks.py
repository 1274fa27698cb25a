"""What workers do at a time, and what their answers make of the videos: each has one record in the end."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.manifest import Record

Step = int | Literal["video", "join"]
"""``video``: all of it, where it is not answered by :class:`Parts`. Then each of these by number, then ``join``."""


@dataclass(frozen=True, slots=True)
class Task:
    """A step of a video."""

    video: Video
    step: Step = "video"


@dataclass(frozen=True, slots=True)
class Parts:
    """A video is done in parts. These are missing."""

    missing: tuple[int, ...]


Answer = Record | Parts
"""What a task gives. A part's record is as a video's, and stands for the video where it failed."""


class Work:
    """The tasks of ``videos``. For any number of threads, each of which takes a task and then answers it."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self._tasks = deque(map(Task, videos))
        self._open: dict[Video, set[int]] = {video: set() for video in videos}
        self._stopped = False
        self._changed = threading.Condition()

    @property
    def left(self) -> int:
        """How many videos have no record yet."""
        return len(self._open)

    def take(self, *, wait: bool = True) -> Task | None:
        """The next task; ``None`` where there will be none, or without ``wait``: where there is none now."""
        with self._changed:
            while wait and not self._tasks and self._open and not self._stopped:
                self._changed.wait()
            return self._tasks.popleft() if self._tasks and not self._stopped else None

    def answer(self, task: Task, answer: Answer) -> Record | None:
        """The video's record, where the answer ends it."""
        with self._changed:
            missing = self._open.get(task.video)
            if missing is None:
                return None  # another part of it has failed
            record = self._end(task.video, answer) if _ends(task, answer) else None
            if record is None:
                self._go_on(task, answer, missing)
            self._changed.notify_all()
            return record

    def give_back(self, task: Task) -> None:
        """A task that was taken is to be tried again, unless its video has ended."""
        with self._changed:
            if task.video in self._open:
                self._tasks.appendleft(task)
            self._changed.notify_all()

    def stop(self) -> None:
        """Give out no further task."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _end(self, video: Video, answer: Answer) -> Record:
        assert isinstance(answer, Record)
        del self._open[video]
        self._tasks = deque(task for task in self._tasks if task.video != video)
        return replace(answer, key=video.key)

    def _go_on(self, task: Task, answer: Answer, missing: set[int]) -> None:
        """Its next tasks come first, so that few videos are half done."""
        if isinstance(answer, Parts):
            missing.update(answer.missing)
            self._tasks.extendleft(Task(task.video, number) for number in reversed(answer.missing))
        elif isinstance(task.step, int):
            missing.discard(task.step)
        if not missing:
            self._tasks.appendleft(Task(task.video, "join"))


def _ends(task: Task, answer: Answer) -> bool:
    return isinstance(answer, Record) and (not isinstance(task.step, int) or answer.status == "failed")
