"""One video of a batch: read, labeled, and its results put into place."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stream_client.errors import SourceError, StreamClientError
from stream_client.fleet.batch.inputs import Video, checksum, fetch
from stream_client.fleet.batch.manifest import Record, ResultFolder, state_of
from stream_client.fleet.batch.options import Kind
from stream_client.plain_text import one_line
from stream_client.run_settings import make_client
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
    work = folder.work(video.key)
    started = time.monotonic()
    shutil.rmtree(work, ignore_errors=True)
    record = Record(video.key, redact(video.address), "failed", batch.settings_hash)
    try:
        work.mkdir(parents=True)
        path = str(fetch(video, work)) if video.remote else video.address
        size, modified = state_of(path)
        if not modified:
            raise SourceError("the video does not exist")
        record = replace(record, size=size, modified=0 if video.remote else modified)
        settings = {**batch.settings, **_outputs(folder, batch.results, video.key), "input_stream": path}
        summary = make_client(settings).run()
        ledger = summary.ledger
        record = replace(record, frames=ledger.entered, delivered=ledger.delivered)
        if summary.loss is not None:
            raise summary.loss
        if ledger.delivered < ledger.entered:
            raise StreamClientError(f"{ledger.entered - ledger.delivered} of its frames have no result")
        if state_of(path) != (size, modified):
            raise SourceError("it was changed while it was read")
        record = replace(record, status="done", checksum=checksum(Path(path)), seconds=time.monotonic() - started)
        folder.publish(record, batch.results)
    except (StreamClientError, OSError) as error:
        record = replace(record, error=_reason(error, video), seconds=time.monotonic() - started)
        folder.write(record)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return record


def _outputs(folder: ResultFolder, kinds: tuple[Kind, ...], key: str) -> dict[str, object]:
    names: Mapping[Kind, str] = {
        "labels": "labels_output",
        "landmarks": "landmarks_output",
        "video": "output_stream",
    }
    return {names[kind]: str(folder.draft(kind, key)) for kind in kinds}


def _reason(error: StreamClientError | OSError, video: Video) -> str:
    """One line without the video's name, so that equal causes are equal."""
    text = error.message if isinstance(error, StreamClientError) else error.strerror or str(error)
    for name in (video.address, redact(video.address), Path(video.address).name):
        text = text.replace(name, "the video")
    return redact(one_line(text))
