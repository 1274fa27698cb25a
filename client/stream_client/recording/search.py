"""Finds labels, events and files in the indices of recordings."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from stream_client.errors import ConfigurationError
from stream_client.recording.index import FILE
from stream_client.recording.segment_file import hidden

_DEPTHS = ("", "*/", "*/*/")
"""Where indices are below the folder of all recordings: {stream} may stand at some depth."""
_BUSY_SECONDS = 5.0
_EDGE = 1.0
"""Seconds that a moment may lie behind a segment's last frame."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. ``None``: any. Times are in seconds since 1970. At most ``limit`` are found, the newest.

    Spans of ``label`` and events of the rule ``event``; with neither of them, files.
    """

    label: str | None = None
    event: str | None = None
    stream: str | None = None
    since: float = 0.0
    until: float = 1e11
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A span of a label, an event, or a file. ``begin`` and ``end`` are in seconds since 1970, ``end`` may be open.

    ``file`` is where it begins, or where the time that was asked for begins, ``offset`` seconds after the file's start;
    ``None``: nothing was recorded then. The file is not ``complete`` while it is written: it plays, but for its end.
    """

    stream: str
    kind: Literal["label", "event", "file"]
    name: str
    begin: float
    end: float | None
    score: float | None = None
    clip: str | None = None
    file: Path | None = None
    offset: float | None = None
    complete: bool = True


def find(folder: Path, query: Query) -> list[Found]:
    """Everything in and below ``folder``, by time. Raises :class:`.ConfigurationError` where nothing is recorded."""
    indices = [path for depth in _DEPTHS for path in folder.glob(depth + FILE)]
    if not indices:
        raise ConfigurationError(f"{folder} has no recordings: name the folder in which {FILE} is, or one above it")
    found: list[Found] = []
    for path in indices:
        try:
            with closing(_opened(path)) as database:
                found += _search(database, path.parent, query)
        except sqlite3.Error as error:
            raise ConfigurationError(f"cannot read {path}: {error}; move it away, the recordings stay") from error
    return sorted(found, key=lambda each: each.begin)[-query.limit :]


def found_row(found: Found) -> dict[str, object]:
    """The same as JSON: times as ISO 8601 with this machine's time zone."""
    return {
        "stream": found.stream,
        "kind": found.kind,
        "name": found.name,
        "begin": iso(found.begin),
        "end": None if found.end is None else iso(found.end),
        "score": None if found.score is None else round(found.score, 6),
        "clip": found.clip,
        "file": None if found.file is None else str(found.file),
        "offset": None if found.offset is None else round(found.offset, 3),
        "complete": found.complete,
    }


def iso(clock: float) -> str:
    """``2026-03-03T14:20:03.250+01:00``."""
    return datetime.fromtimestamp(clock).astimezone().isoformat(timespec="milliseconds")


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)


def _search(database: sqlite3.Connection, folder: Path, query: Query) -> Iterator[Found]:
    if query.label is not None:
        for stream, name, begin, end, score in _rows(database, query, _LABELS, query.label):
            file, offset, complete = _place(database, folder, query, stream, begin)
            yield Found(stream, "label", name, begin, end, score, None, file, offset, complete)
    if query.event is not None:
        for stream, name, begin, end, clip in _rows(database, query, _EVENTS, query.event):
            file, offset, complete = _place(database, folder, query, stream, begin)
            yield Found(stream, "event", name, begin, end, None, clip, file, offset, complete)
    if query.label is None and query.event is None:
        for stream, name, begin, end in _rows(database, query, _FILES, None):
            file, offset = _existing(folder / name, end), max(0.0, query.since - begin)
            yield Found(stream, "file", name, begin, end, None, None, file, offset, end is not None)


_LABELS = ("label, begin, end, score FROM labels", "label")
_EVENTS = ("rule, begin, end, clip FROM events", "rule")
_FILES = ("path, begin, end FROM segments", "path")


def _rows(database: sqlite3.Connection, query: Query, table: tuple[str, str], name: str | None) -> list[Any]:
    columns, named = table
    # A file without an end is being written. An event without one may be of a run that was killed.
    end = "coalesce(end, 1e12)" if table is _FILES else "coalesce(end, begin)"
    conditions: dict[str, object] = {"begin <= ?": query.until, f"{end} >= ?": query.since}
    if name is not None:
        conditions[f"{named} = ?"] = name
    if query.stream is not None:
        conditions["stream = ?"] = query.stream
    sql = f"SELECT stream, {columns} WHERE {' AND '.join(conditions)} ORDER BY begin DESC LIMIT ?"
    return database.execute(sql, (*conditions.values(), query.limit)).fetchall()


def _place(
    database: sqlite3.Connection, folder: Path, query: Query, stream: str, begin: float
) -> tuple[Path | None, float | None, bool]:
    """The file with the first moment that was asked for, seconds from its start, and whether it is complete."""
    moment = max(begin, query.since)
    sql = "SELECT path, begin, end FROM segments WHERE stream = ? AND begin <= ? ORDER BY begin DESC, id DESC LIMIT 1"
    row = database.execute(sql, (stream, moment)).fetchone()
    if row is None or (row[2] is not None and moment > row[2] + _EDGE):
        return None, None, True
    file = _existing(folder / row[0], row[2])
    return file, None if file is None else moment - row[1], row[2] is not None


def _existing(path: Path, end: float | None) -> Path | None:
    """The file of a segment with that end, unless somebody has removed it."""
    file = hidden(path) if end is None else path
    return file if file.exists() else None
