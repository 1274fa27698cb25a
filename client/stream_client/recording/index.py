"""The index of a folder of recordings: an SQLite file beside them."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from stream_client.errors import SinkError

logger = logging.getLogger(__name__)

FILE = "index.sqlite"
_VERSION = 1
_BUSY_SECONDS = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, path TEXT NOT NULL, begin REAL NOT NULL,
    end REAL, frames INTEGER, bytes INTEGER);
CREATE INDEX IF NOT EXISTS segments_by_time ON segments (stream, begin);
CREATE TABLE IF NOT EXISTS labels (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, label TEXT NOT NULL, begin REAL NOT NULL, end REAL NOT NULL,
    score REAL NOT NULL);
CREATE INDEX IF NOT EXISTS labels_by_time ON labels (stream, begin);
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, stream TEXT NOT NULL, rule TEXT NOT NULL, begin REAL NOT NULL, end REAL, label TEXT,
    clip TEXT);
CREATE INDEX IF NOT EXISTS events_by_time ON events (stream, begin);
"""


@dataclass(frozen=True, slots=True)
class Segment:
    """A recorded file. ``path`` is below the index's folder. Times are in seconds since 1970.

    ``end`` is ``None`` while it is written.
    """

    id: int
    stream: str
    path: Path
    begin: float
    end: float | None = None
    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class IndexedEvent:
    """An event of a rule; times as in :class:`Segment`. ``clip`` is its path where there is one."""

    id: str
    stream: str
    rule: str
    begin: float
    end: float | None = None
    label: str | None = None
    clip: str | None = None


class RecordingIndex:
    """Writes the index of ``folder``. For one thread; other processes may write and read it meanwhile.

    Its methods raise :class:`.SinkError`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: int | None = None
        self._path = folder / FILE
        with self._errors():
            self._open()

    def begin(self, stream: str, path: Path, clock: float) -> Segment:
        """A segment that is written from now on, at ``path`` in the folder."""
        place = path.relative_to(self.folder)
        sql = "INSERT INTO segments (stream, path, begin) VALUES (?, ?, ?)"
        with self._errors():
            done = self._database.execute(sql, (stream, str(place), clock))
        assert done.lastrowid is not None
        return Segment(done.lastrowid, stream, place, clock)

    def finish(self, segment: Segment, end: float, frames: int, size: int) -> None:
        """It is complete, with that number of frames and bytes."""
        place = str(segment.path)
        known = "UPDATE segments SET end = ?, frames = ?, bytes = ? WHERE id = ? AND path = ?"
        sql = "INSERT INTO segments (stream, path, begin, end, frames, bytes) VALUES (?, ?, ?, ?, ?, ?)"
        with self._errors():
            if not self._database.execute(known, (end, frames, size, segment.id, place)).rowcount:
                self._database.execute(sql, (segment.stream, place, segment.begin, end, frames, size))

    def remove(self, segment: Segment) -> None:
        """Forget it."""
        with self._errors():
            self._database.execute("DELETE FROM segments WHERE id = ? AND path = ?", (segment.id, str(segment.path)))

    def complete(self, stream: str) -> list[Segment]:
        """Those of a stream that are complete, in the order in which they were written."""
        return self._segments("stream = ? AND end IS NOT NULL", stream)

    def incomplete(self, stream: str) -> list[Segment]:
        """Those that were begun and not finished."""
        return self._segments("stream = ? AND end IS NULL", stream)

    def label(self, stream: str, label: str, begin: float, end: float, score: float) -> None:
        """A span of a label, or how long one that is there has lasted; ``score`` is the best one in it."""
        known = "UPDATE labels SET end = ?, score = ? WHERE stream = ? AND label = ? AND begin = ?"
        sql = "INSERT INTO labels (stream, label, begin, end, score) VALUES (?, ?, ?, ?, ?)"
        with self._errors():
            if not self._database.execute(known, (end, score, stream, label, begin)).rowcount:
                self._database.execute(sql, (stream, label, begin, end, score))

    def event(self, event: IndexedEvent) -> None:
        """An event, or more about one that is there."""
        sql = """INSERT INTO events (id, stream, rule, begin, end, label, clip) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET end = excluded.end, clip = excluded.clip"""
        with self._errors():
            self._database.execute(sql, astuple(event))

    def forget_before(self, stream: str, clock: float) -> None:
        """Remove labels and events that were over by then."""
        for table in ("labels", "events"):
            sql = f"DELETE FROM {table} WHERE stream = ? AND begin < ? AND coalesce(end, begin) < ?"
            with self._errors():
                self._database.execute(sql, (stream, clock, clock))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _segments(self, condition: str, stream: str) -> list[Segment]:
        columns = "id, stream, path, begin, end, frames, bytes"
        with self._errors():
            rows = self._database.execute(f"SELECT {columns} FROM segments WHERE {condition} ORDER BY id", (stream,))
            return [
                Segment(number, name, Path(path), begin, end, frames or 0, size or 0)
                for number, name, path, begin, end, frames, size in rows
            ]

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        # A crash of the machine may lose the newest rows, and never damages the file.
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise SinkError(f"{self._path} is of a newer version of this program: use that one", option="sinks")
        if version < _VERSION:  # what is there is not written again: the disk may be full
            self._database.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
        self._file = _number(self._path)

    def _make_again(self) -> None:
        """The file was removed while it was open: what is written to it is nowhere."""
        self._database.close()
        if _number(self._path) is None:  # another recording may have made it already
            for beside in ("-wal", "-shm"):  # of the file that was removed
                Path(f"{self._path}{beside}").unlink(missing_ok=True)
        self._open()
        logger.warning("%s was removed: it is made again, without what was recorded before", self._path)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            if self._file is not None and _number(self._path) != self._file:
                self._make_again()
            yield
        except sqlite3.Error as error:
            raise SinkError(f"{self._path}: {error}{_remedy(error)}", option="sinks") from error


def _number(path: Path) -> int | None:
    """Which file it is; ``None``: there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _remedy(error: sqlite3.Error) -> str:
    text = str(error)
    if "full" in text:
        return ": make room there, or let the oldest recordings go sooner by keep_for and keep_size"
    if "readonly" in text or "unable to open" in text:
        return ": let this user write the folder and the file"
    damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return ": move it away, and a new one is made" if damaged else ""
