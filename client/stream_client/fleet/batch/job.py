"""One video of a batch, or a part of it: read, labeled, and its results put into place."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from stream_client.errors import SourceError, StreamClientError
from stream_client.fleet.batch.attempt import Attempt
from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.manifest import Record, ResultFolder, state_of
from stream_client.fleet.batch.options import Kind
from stream_client.fleet.batch.tasks import Answer, Parts
from stream_client.frames import Result
from stream_client.plain_text import one_line
from stream_client.run_settings import make_client
from stream_client.sinks.base import Sink
from stream_client.sinks.labels import LabelsSink, label_row
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sinks.video_file import FileSink
from stream_client.sources.base import Source
from stream_client.util.redact import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What all videos of a batch have in common. ``settings`` are a run's, ``settings_hash`` stands for them.

    Videos are cut into parts of about ``split`` seconds, ``None``: they are not. Each begins to be read ``overlap``
    seconds earlier.
    """

    output: Path
    results: tuple[Kind, ...]
    settings: Mapping[str, object]
    settings_hash: str
    split: float | None = None
    overlap: float = 0.0


class Job:
    """Makes the results of ``video``, or of a part of it, in ``folder``, under the name ``key``."""

    def __init__(self, batch: Batch, video: Video, folder: ResultFolder, key: str) -> None:
        self.batch = batch
        self.video = video
        self.folder = folder
        self.attempt = Attempt(folder, key)
        self.record = Record(key, redact(video.address), "failed", batch.settings_hash)
        """What is known so far."""

    def run(self, step: "Callable[[Job], Parts | None]") -> Answer:
        """Do ``step``, which leaves drafts of the results, and put them and their record into place.

        The record says what went wrong where something did. Nothing is put into place where parts are to be done.
        """
        started = time.monotonic()
        with self.attempt:
            try:
                parts = step(self)
                if parts is not None:
                    return parts
                self.record = replace(self.record, status="done", seconds=_since(started, self.record))
                self.attempt.publish(self.record, self.batch.results if self.record.frames else ())
            except (StreamClientError, OSError) as error:
                copy = ResultFolder(self.batch.output).copy(self.video)
                reason = _reason(error, self.video, copy)
                self.record = replace(self.record, status="failed", error=reason, seconds=_since(started, self.record))
                self.attempt.give_up(self.record)
        return self.record

    def look_at(self, path: Path) -> None:
        """Note what ``path`` is."""
        size, modified = state_of(path)
        if not modified:
            raise SourceError("the video does not exist")
        self.record = replace(self.record, size=size, modified=0 if self.video.remote else modified)

    def check_unchanged(self, path: Path) -> None:
        """Raise :class:`.SourceError` if ``path`` is no longer what it was for :meth:`look_at`."""
        size, modified = state_of(path)
        if (size, 0 if self.video.remote else modified) != (self.record.size, self.record.modified):
            raise SourceError("it was changed while it was read")

    def sinks(self, zero: float = 0.0) -> list[Sink]:
        """Write the drafts of all results. A video begins at ``zero``, in seconds of the source."""
        make: Mapping[Kind, Callable[[Path], Sink]] = {
            "labels": partial(LabelsSink, row=_row),
            "landmarks": LandmarksSink,
            "video": partial(FileSink, zero=zero),
        }
        return [make[kind](self.attempt.draft(kind)) for kind in self.batch.results]

    def label(self, path: Path, sinks: Sequence[Sink], source: Source | None = None) -> None:
        """Run over a video, or another ``source``, to its end; raises where a frame has no result."""
        client = make_client({**self.batch.settings, "input_stream": str(path)}, sinks=sinks, source=source)
        summary = client.run()
        entered, delivered = summary.ledger.entered, summary.ledger.delivered
        self.record = replace(self.record, frames=entered, delivered=delivered)
        if summary.loss is not None:
            raise summary.loss
        if delivered < entered:
            raise StreamClientError(f"{entered - delivered} of its frames have no result")


def abandoned(batch: Batch, video: Video, reason: str) -> Record:
    """The record of a video whose workers came to nothing; it is stored."""
    record = Record(video.key, redact(video.address), "failed", batch.settings_hash, error=reason)
    ResultFolder(batch.output).write(record)
    return record


def _row(result: Result) -> dict[str, object]:
    """Without the latency: the labels of a video are the same to the byte, whoever makes them."""
    return {name: value for name, value in label_row(result).items() if name != "latency_ms"}


def _since(started: float, record: Record) -> float:
    return record.seconds + time.monotonic() - started


def _reason(error: StreamClientError | OSError, video: Video, copy: Path) -> str:
    """One line without the video's name, so that equal causes are equal."""
    text = error.message if isinstance(error, StreamClientError) else error.strerror or str(error)
    for name in (str(copy), video.address, redact(video.address), Path(video.address).name):
        text = text.replace(name, "the video")
    return redact(one_line(text))
