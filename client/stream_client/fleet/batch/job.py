"""One video of a batch: read, labeled, and its results put into place."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stream_client.client import StreamClient
from stream_client.errors import SourceError, StreamClientError
from stream_client.fleet.batch.attempt import Attempt
from stream_client.fleet.batch.inputs import Video, checksum, fetch
from stream_client.fleet.batch.manifest import Record, ResultFolder, state_of
from stream_client.fleet.batch.options import Kind
from stream_client.frames import Result
from stream_client.plain_text import one_line
from stream_client.run_settings import make_client
from stream_client.sinks.base import Sink
from stream_client.sinks.labels import LabelsSink, label_row
from stream_client.util.redact import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What all videos of a batch have in common. ``settings`` are a run's, ``settings_hash`` stands for them."""

    output: Path
    results: tuple[Kind, ...]
    settings: Mapping[str, object]
    settings_hash: str


def run_job(batch: Batch, video: Video) -> Record:
    """Make the results of a video, and its record, which says what went wrong where something did."""
    folder = ResultFolder(batch.output)
    started = time.monotonic()
    record = Record(video.key, redact(video.address), "failed", batch.settings_hash)
    with Attempt(folder, video.key) as attempt:
        try:
            path = str(fetch(video, attempt.path)) if video.remote else video.address
            size, modified = state_of(path)
            if not modified:
                raise SourceError("the video does not exist")
            record = replace(record, size=size, modified=0 if video.remote else modified)
            summary = _client(batch, attempt, path).run()
            ledger = summary.ledger
            record = replace(record, frames=ledger.entered, delivered=ledger.delivered)
            if summary.loss is not None:
                raise summary.loss
            if ledger.delivered < ledger.entered:
                raise StreamClientError(f"{ledger.entered - ledger.delivered} of its frames have no result")
            if state_of(path) != (size, modified):
                raise SourceError("it was changed while it was read")
            record = replace(record, status="done", checksum=checksum(Path(path)), seconds=time.monotonic() - started)
            attempt.publish(record, batch.results)
        except (StreamClientError, OSError) as error:
            record = replace(record, status="failed", error=_reason(error, video), seconds=time.monotonic() - started)
            attempt.give_up(record)
    return record


def abandoned(batch: Batch, video: Video, reason: str) -> Record:
    """The record of a video whose workers came to nothing; it is stored."""
    record = Record(video.key, redact(video.address), "failed", batch.settings_hash, error=reason)
    ResultFolder(batch.output).write(record)
    return record


def _client(batch: Batch, attempt: Attempt, path: str) -> StreamClient:
    settings: dict[str, object] = {**batch.settings, "input_stream": path}
    sinks: list[Sink] = []
    for kind in batch.results:
        draft = attempt.draft(kind)
        if kind == "labels":
            sinks.append(LabelsSink(draft, _row))
        elif kind == "landmarks":
            settings["landmarks_output"] = str(draft)
        else:
            settings["output_stream"] = str(draft)
    return make_client(settings, sinks=sinks)


def _row(result: Result) -> dict[str, object]:
    """Without the latency: the labels of a video are the same to the byte, whoever makes them."""
    return {name: value for name, value in label_row(result).items() if name != "latency_ms"}


def _reason(error: StreamClientError | OSError, video: Video) -> str:
    """One line without the video's name, so that equal causes are equal."""
    text = error.message if isinstance(error, StreamClientError) else error.strerror or str(error)
    for name in (video.address, redact(video.address), Path(video.address).name):
        text = text.replace(name, "the video")
    return redact(one_line(text))
