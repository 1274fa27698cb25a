"""Batches without worker processes."""

from pathlib import Path

from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.job import Batch
from stream_client.fleet.batch.manifest import Record
from stream_client.fleet.batch.options import Kind
from stream_client.fleet.batch.steps import run_task
from stream_client.fleet.batch.tasks import Work


def batch(output: Path, address: str, *results: Kind, split: float | None = 1.0) -> Batch:
    """Of the pass-through graph, in parts of a second by default."""
    settings = {"drop_policy": "block", "grpc_address": address, "model_name": "passThrough"}
    return Batch(output=output, results=results, settings=settings, settings_hash="1", split=split, overlap=0.7)


def do(what: Batch, video: Video) -> Record:
    """Every task of a video, one after another in this process; its record."""
    work = Work([video])
    records = []
    while (task := work.take(wait=False)) is not None:
        record = work.answer(task, run_task(what, task))
        records += [] if record is None else [record]
    assert work.left == 0
    (only,) = records
    return only
