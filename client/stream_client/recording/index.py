"""The index of a folder of recordings: an SQLite file beside them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from stream_client.errors import SinkError

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
        self._path = folder / FILE
        with self._errors():
            self._database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            # A crash of the machine may lose the newest rows, and never damages the file.
            self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise SinkError(f"{self._path} is of a newer version of this program: use that one", option="sinks")
            if version < _VERSION:  # what is there is not written again: the disk may be full
                self._database.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")

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
        with self._errors():
            self._database.execute(
                "UPDATE segments SET end = ?, frames = ?, bytes = ? WHERE id = ?", (end, frames, size, segment.id)
            )

    def remove(self, segment: Segment) -> None:
        """Forget it."""
        with self._errors():
            self._database.execute("DELETE FROM segments WHERE id = ?", (segment.id,))

    def complete(self, stream: str) -> list[Segment]:
        """Those of a stream that are complete, in the order in which they were written."""
        return self._segments("stream = ? AND end IS NOT NULL", stream)

    def incomplete(self, stream: str) -> list[Segment]:
        """Those that were begun and not finished."""
        return self._segments("stream = ? AND end IS NULL", stream)

    def label_begins(self, stream: str, label: str, clock: float, score: float) -> int:
        """A span of a label; its number."""
        sql = "INSERT INTO labels (stream, label, begin, end, score) VALUES (?, ?, ?, ?, ?)"
        with self._errors():
            done = self._database.execute(sql, (stream, label, clock, clock, score))
        assert done.lastrowid is not None
        return done.lastrowid

    def label_lasts(self, number: int, clock: float, score: float) -> None:
        """The span lasts until then, at least; ``score`` is the best one in it."""
        with self._errors():
            self._database.execute("UPDATE labels SET end = ?, score = ? WHERE id = ?", (clock, score, number))

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

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            remedy = ": move it away, and a new one is made" if damaged else ""
            raise SinkError(f"{self._path}: {error}{remedy}", option="sinks") from error
