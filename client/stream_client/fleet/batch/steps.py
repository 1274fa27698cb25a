"""The steps of a video: all of it at once, or its parts one by one and then what joins them."""

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from stream_client.errors import SourceError
from stream_client.fleet.batch.inputs import checksum
from stream_client.fleet.batch.job import Batch, Job
from stream_client.fleet.batch.join import join_labels, join_landmarks
from stream_client.fleet.batch.join_video import join_video
from stream_client.fleet.batch.manifest import Record, ResultFolder
from stream_client.fleet.batch.parts import OwnResults, PartPlan, plan_parts, read_plan
from stream_client.fleet.batch.stores import fetch
from stream_client.fleet.batch.tasks import Answer, Parts, Task
from stream_client.sources.file import FileSource


def run_task(batch: Batch, task: Task) -> Answer:
    """Do one step, and store its record. Killed at any time and done again, it gives the same."""
    folder, video = ResultFolder(batch.output), task.video
    parts = folder.parts(video.key)
    if isinstance(task.step, int):
        job = Job(batch, video, parts, _name(task.step))
        answer = job.run(partial(_part, number=task.step, whole=folder))
        if job.record.status == "failed":
            folder.write(replace(job.record, key=video.key))
        return answer
    answer = Job(batch, video, folder, video.key).run(_video if task.step == "video" else _join)
    if isinstance(answer, Record):
        folder.copy(video).unlink(missing_ok=True)
        if answer.status == "done":
            shutil.rmtree(parts.path, ignore_errors=True)
    return answer


def _video(job: Job) -> Parts | None:
    path = _fetched(job)
    job.look_at(path)
    plan = None if job.batch.split is None else _planned(job, path)
    if plan is not None:
        parts = job.folder.parts(job.record.key)
        return Parts(tuple(number for number in range(len(plan.begins)) if not _is_done(job, parts, number)))
    job.label(path, job.sinks())
    _finish(job, path)
    return None


def _part(job: Job, number: int, whole: ResultFolder) -> None:
    path = _local(job, whole)
    job.look_at(path)
    plan = _plan(job, job.folder)
    begin = plan.begins[number]
    sinks = [OwnResults(sink, begin) for sink in job.sinks(begin / 1e6)]
    job.label(path, sinks, FileSource(path, span=plan.span(number)))
    job.check_unchanged(path)
    own = sinks[0].count if sinks else 0
    job.record = replace(job.record, frames=own, delivered=own)


def _join(job: Job) -> None:
    path = _local(job, job.folder)
    job.look_at(path)
    parts = job.folder.parts(job.record.key)
    plan = _plan(job, parts)
    records = [parts.read(_name(number)) for number in range(len(plan.begins))]
    done = [record for record in records if record is not None and record.status == "done"]
    if len(done) < len(records):
        raise SourceError("results of its parts are gone")
    full = [record for record in done if record.frames]
    for kind in job.batch.results:
        pieces = [parts.place(kind, record.key) for record in full]
        target = job.attempt.draft(kind)
        if kind == "labels":
            join_labels(pieces, target)
        elif kind == "landmarks":
            join_landmarks(pieces, target)
        else:
            join_video(pieces, [plan.begins[int(record.key)] for record in full], target, path, plan.zero)
    frames, seconds = sum(record.frames for record in done), sum(record.seconds for record in done)
    job.record = replace(job.record, frames=frames, delivered=frames, seconds=seconds)
    _finish(job, path)


def _finish(job: Job, path: Path) -> None:
    job.check_unchanged(path)
    job.record = replace(job.record, checksum=checksum(path))


def _name(number: int) -> str:
    return f"{number:05}"


def _is_done(job: Job, parts: ResultFolder, number: int) -> bool:
    record = parts.read(_name(number))
    return record is not None and parts.is_current(job.video, record, job.batch.settings_hash, job.batch.results)


def _planned(job: Job, path: Path) -> PartPlan | None:
    """The plan of an earlier run where it still holds, else a new one, if there is one."""
    parts = job.folder.parts(job.record.key)
    state = checksum(path) if job.video.remote else _state(job)
    known = read_plan(parts.path / "plan.json")
    if known is not None and (known.settings, known.state) == (job.batch.settings_hash, state):
        return known
    if not job.attempt.counts:
        raise SourceError("a newer attempt has begun")
    shutil.rmtree(parts.path, ignore_errors=True)
    assert job.batch.split is not None
    plan = plan_parts(path, job.batch.split, job.batch.overlap, job.batch.settings_hash, state)
    if plan is not None:
        plan.write(parts.path / "plan.json")
    return plan


def _plan(job: Job, parts: ResultFolder) -> PartPlan:
    plan = read_plan(parts.path / "plan.json")
    if plan is None:
        raise SourceError("the plan of its parts is gone")
    if not job.video.remote and plan.state != _state(job):
        raise SourceError("it was changed while it was read")
    return plan


def _state(job: Job) -> str:
    return f"{job.record.size} {job.record.modified}"


def _fetched(job: Job) -> Path:
    """The video's file; of a remote one a copy, which all steps read."""
    if not job.video.remote:
        return Path(job.video.address)
    copy = job.folder.copy(job.video)
    copy.parent.mkdir(parents=True, exist_ok=True)
    os.replace(fetch(job.video.address, job.attempt.path), copy)
    return copy


def _local(job: Job, folder: ResultFolder) -> Path:
    return folder.copy(job.video) if job.video.remote else Path(job.video.address)
