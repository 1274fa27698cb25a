"""A batch: finds out what is missing, has it done, and sums up."""

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.job import Batch
from stream_client.fleet.batch.manifest import Record, ResultFolder, settings_hash
from stream_client.fleet.batch.options import BatchOptions
from stream_client.fleet.batch.pool import WorkerPool
from stream_client.util.wording import counted


class Pool(Protocol):
    """Does the work of a batch. A context manager: at its end nothing of it runs."""

    def __enter__(self) -> "Pool": ...

    def __exit__(self, *exception: object) -> None: ...

    def records(self) -> Iterator[Record]:
        """The record of each video as soon as it is there."""


MakePool = Callable[[Batch, Sequence[Video], int | None], Pool]
"""Makes a pool for the videos of a batch, which works on so many of them at a time."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Which videos are to be done, and the hash of the settings.

    ``others`` have results of other settings, or of an earlier state of the video.
    """

    settings_hash: str
    videos: tuple[Video, ...]
    missing: tuple[Video, ...]
    others: int

    @property
    def current(self) -> int:
        """Videos that have their results already."""
        return len(self.videos) - len(self.missing)


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """How a batch ended. ``causes`` counts the failed videos of this run by what went wrong."""

    done: int
    failed: int
    left: int
    current: int
    frames: int
    causes: Mapping[str, int]
    manifest: Path


def plan(options: BatchOptions, settings: Mapping[str, object], videos: Sequence[Video]) -> BatchPlan:
    """Compare the videos with the records of earlier runs.

    Raises :class:`.ConfigurationError` for settings whose results cannot be joined from parts.
    """
    if options.split is not None:
        _check_settings_of_parts(settings)
    folder, wanted = ResultFolder(options.output), settings_hash(settings, options)
    missing, others = [], 0
    for video in videos:
        record = folder.read(video.key)
        if record is None or not folder.is_current(video, record, wanted, options.results):
            missing.append(video)
            others += record is not None and record.status == "done"
    return BatchPlan(wanted, tuple(videos), tuple(missing), others)


def run_batch(
    options: BatchOptions,
    settings: Mapping[str, object],
    planned: BatchPlan,
    on_record: Callable[[Record], None] = lambda record: None,
    make_pool: MakePool = WorkerPool,
) -> BatchSummary:
    """Do what is missing. ``settings`` are a run's, with what is known about the server that all workers use.

    ``on_record`` is called for each video as it ends. After more than ``max_failures`` failed videos no further one is
    begun. The table is written at the end, also of a run that is interrupted. ``make_pool`` makes what does the work.
    """
    folder = ResultFolder(options.output)
    batch = Batch(
        output=options.output,
        results=options.results,
        settings=settings,
        settings_hash=planned.settings_hash,
        split=options.split_seconds,
        overlap=options.overlap_seconds,
    )
    _remove_others(options.output / ".parts", planned.missing)
    done = failed = frames = 0
    causes: Counter[str] = Counter()
    try:
        with make_pool(batch, planned.missing, options.workers) as pool:
            for record in pool.records():
                on_record(record)
                if record.status == "done":
                    done, frames = done + 1, frames + record.delivered
                    continue
                failed += 1
                causes[record.error] += 1
                if options.max_failures is not None and failed > options.max_failures:
                    break
    finally:
        for temporary in (folder.work, folder.copies):
            shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # parts that are done are kept for the next run
            (options.output / ".parts").rmdir()
        manifest = folder.write_table(planned.videos)
    left = len(planned.missing) - done - failed
    return BatchSummary(done, failed, left, planned.current, frames, causes, manifest)


def _check_settings_of_parts(settings: Mapping[str, object]) -> None:
    counted_over_all = {"count_repetitions": "repetitions are counted", "tracker": "tracks are numbered"}
    for name, what in counted_over_all.items():
        if settings.get(name) not in (None, "none"):
            raise ConfigurationError(f"{what} over a whole video ({name}), which is cut here", option="split")


def _remove_others(parts: Path, videos: Sequence[Video]) -> None:
    """Remove the parts of videos that are not to be done: nobody will join them."""
    wanted = {video.key for video in videos}
    for folder in parts.glob("*"):
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def claim(output: Path) -> Iterator[None]:
    """Make the folder, and keep other batches out of it. Raises :class:`.ConfigurationError`."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock = os.open(output / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigurationError(f"cannot write into {output}: {error.strerror}", option="output") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigurationError(f"another batch writes into {output}", option="output") from error
    finally:
        os.close(lock)


def failure_of(summary: BatchSummary) -> StreamClientError | None:
    """What a batch lacks; ``None`` where every video has its results."""
    if not summary.failed and not summary.left:
        return None
    lacking = summary.failed + summary.left
    have = "has" if lacking == 1 else "have"
    text = f"{lacking} of {counted(lacking + summary.done + summary.current, 'video')} {have} no results"
    return StreamClientError(f"{text}: run it again to do what is missing")
