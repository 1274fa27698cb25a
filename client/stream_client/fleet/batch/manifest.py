"""What has become of each video: a record a video, and all of them as one Parquet table.

A record is written after its results are in place, so a record that is there is true whenever a process is killed.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from stream_client.errors import SinkError
from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.options import BatchOptions, Kind
from stream_client.fleet.batch.stores import suffix_of
from stream_client.util.arrow import arrow

Status = Literal["done", "failed"]
SUFFIXES: Mapping[Kind, str] = {"labels": ".jsonl", "landmarks": ".parquet", "video": ".mp4"}
_UNIMPORTANT = frozenset(
    (
        *("grpc_address", "tls", "tls_ca", "tls_cert", "tls_key", "connect_timeout", "shared_memory"),
        *("reconnect_timeout", "request_timeout", "join_timeout", "max_inflight", "latency_target"),
    )
)
"""Settings on which no result depends."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the manifest.

    ``size`` is in bytes and ``modified`` in nanoseconds since 1970, both 0 for remote videos. ``checksum`` is the
    SHA-256 of the video, ``settings`` is a hash of what the results depend on. ``frames`` were read, ``delivered``
    are in the results. ``seconds`` is the time it took. ``error`` is empty for a video that is done.
    """

    key: str
    address: str
    status: Status
    settings: str
    size: int = 0
    modified: int = 0
    checksum: str = ""
    frames: int = 0
    delivered: int = 0
    seconds: float = 0.0
    error: str = ""


def settings_hash(settings: Mapping[str, object], options: BatchOptions) -> str:
    """What results depend on, as 16 hexadecimal digits; a classifier counts by its files."""
    relevant: dict[str, object] = {
        name: _plain(value)
        for name, value in settings.items()
        if value not in (None, (), []) and name not in _UNIMPORTANT
    }
    relevant["results"] = sorted(options.results)
    if options.split_seconds is not None:
        relevant["split"] = [options.split_seconds, options.overlap_seconds]
    classifier = settings.get("classifier")
    if isinstance(classifier, str) and Path(classifier).is_dir():
        relevant["classifier"] = [
            (path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(Path(classifier).rglob("*"))
            if path.is_file()
        ]
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else str(value)


class ResultFolder:
    """The output folder: ``labels/KEY.jsonl``, ``landmarks/video=KEY/part.parquet``, ``video/KEY.mp4``, records."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def place(self, kind: Kind, key: str) -> Path:
        """Where a result belongs. Landmarks are partitioned by video, as Arrow and DuckDB read them."""
        if kind == "landmarks":
            return self.path / kind / f"video={key}" / "part.parquet"
        return self.path / kind / f"{key}{SUFFIXES[kind]}"

    @property
    def work(self) -> Path:
        """Where results are written before they are complete: a folder for each video."""
        return self.path / ".work"

    @property
    def copies(self) -> Path:
        """Where remote videos are while they are read."""
        return self.path / ".copies"

    def copy(self, video: Video) -> Path:
        """Where a remote video is while it is read."""
        return self.copies / f"{video.key}{suffix_of(video.address)}"

    def parts(self, key: str) -> "ResultFolder":
        """Where the results of a video's parts are until they are joined."""
        return ResultFolder(self.path / ".parts" / key)

    def write(self, record: Record) -> None:
        """Store a record, whole or not at all."""
        write_whole(self._record(record.key), json.dumps(asdict(record)))

    def read(self, key: str) -> Record | None:
        """The record of a video; ``None`` where there is none, or none that can be read."""
        try:
            return Record(**json.loads(self._record(key).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_current(self, video: Video, record: Record, settings: str, kinds: Iterable[Kind]) -> bool:
        """Whether the results of ``record`` are those of the video as it is now, with these settings."""
        if record.status != "done" or record.settings != settings:
            return False
        if not all(self.place(kind, record.key).exists() for kind in kinds):
            return False
        return video.remote or (record.size, record.modified) == state_of(video.address)

    def write_table(self, videos: Iterable[Video]) -> Path:
        """All records as ``manifest.parquet``, in the order of ``videos``; those of other videos follow."""
        pyarrow, parquet = arrow("output")
        first = {video.key: place for place, video in enumerate(videos)}
        keys = {path.stem for path in (self.path / "manifest").glob("*.json")}
        records = [record for key in keys if (record := self.read(key)) is not None]
        records.sort(key=lambda record: (first.get(record.key, len(first)), record.key))
        columns: dict[str, list[Any]] = {
            field.name: [getattr(record, field.name) for record in records] for field in fields(Record)
        }
        place, draft = self.path / "manifest.parquet", self.path / "manifest.parquet.draft"
        try:
            parquet.write_table(pyarrow.table(columns), draft)
            os.replace(draft, place)
        except OSError as error:
            raise SinkError(f"cannot write {place}: {error.strerror or error}", option="output") from error
        return place

    def _record(self, key: str) -> Path:
        return self.path / "manifest" / f"{key}.json"


def write_whole(place: Path, text: str) -> None:
    """Write a file so that it is whole or not there, also after a loss of power."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, place)


def state_of(address: str | Path) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds; zeros for a file that is not there."""
    try:
        status = os.stat(address)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
