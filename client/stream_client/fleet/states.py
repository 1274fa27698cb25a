"""What is wanted of a fleet's streams, and what they do: an SQLite file that outlives the fleet."""

import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Literal, get_args

from stream_client.errors import ConfigurationError
from stream_client.fleet.supervised import StreamStatus

Wanted = Literal["run", "paused", "removed"]
WANTED: tuple[Wanted, ...] = get_args(Wanted)
IN_MEMORY = Path(":memory:")
"""For a fleet without a file: nothing outlives it."""
FRESH = 5.0
"""Seconds. What a fleet has reported longer ago is of one that does not run."""
LOOK_SECONDS = 5.0
"""How long a look at a stream's picture lasts."""
_BUSY_SECONDS = 5.0
_COLUMNS = tuple(each.name for each in fields(StreamStatus))
_PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON"
"""Pictures that are deleted are overwritten."""
_TABLES = f"""
CREATE TABLE IF NOT EXISTS wanted (name TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS status ({", ".join(_COLUMNS)}, PRIMARY KEY (name));
CREATE TABLE IF NOT EXISTS looked (name TEXT PRIMARY KEY, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (name TEXT PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS fleet (only INTEGER PRIMARY KEY CHECK (only = 1), reported REAL NOT NULL);
"""


def states_file(streams: Path) -> Path:
    """Where the states of a fleet are, unless another file is named: beside its own file."""
    return streams.with_suffix(".state.sqlite")


class FleetStates:
    """The file ``path``, which is made where there is none. The fleet and those who steer it have it open at once.

    A context manager. Safe from any thread. Raises :class:`.ConfigurationError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.executescript(_PRAGMAS)
            columns = [row[1] for row in self._database.execute("PRAGMA table_info(status)")]
            if columns and tuple(columns) != _COLUMNS:  # of another version: it is written anew each second
                self._database.execute("DROP TABLE status")
            self._database.executescript(_TABLES)

    def __enter__(self) -> "FleetStates":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def wanted(self) -> Mapping[str, Wanted]:
        """What is wanted of streams; of those that are not named: that they run."""
        with self._errors():
            return dict(self._database.execute("SELECT name, state FROM wanted").fetchall())

    def want(self, name: str, state: Wanted) -> None:
        """Say what is wanted of a stream. A fleet that runs sees it within a second."""
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO wanted (name, state) VALUES (?, ?)", (name, state))

    def keep_only(self, names: Collection[str]) -> None:
        """Forget what was wanted of streams that are no longer in the fleet's file."""
        with self._errors():
            known = {name for (name,) in self._database.execute("SELECT name FROM wanted")}
            self._database.executemany("DELETE FROM wanted WHERE name = ?", [(name,) for name in known - set(names)])

    def report(self, streams: Sequence[StreamStatus], pictures: Mapping[str, bytes]) -> None:
        """Write down what the streams do now, with the pictures (JPEG, by name) of those that are looked at."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._errors(), self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM status")
            self._database.executemany(f"INSERT INTO status VALUES ({marks})", map(astuple, streams))
            self._database.execute("DELETE FROM pictures")
            self._database.executemany("INSERT INTO pictures VALUES (?, ?)", pictures.items())
            self._database.execute("INSERT OR REPLACE INTO fleet VALUES (1, ?)", (time.time(),))

    def status(self) -> tuple[list[StreamStatus], float | None]:
        """What the streams did when it was last reported, and when that was, in seconds since 1970."""
        with self._errors():
            rows = self._database.execute(f"SELECT {', '.join(_COLUMNS)} FROM status ORDER BY name").fetchall()
            reported = self._database.execute("SELECT reported FROM fleet").fetchone()
        return [StreamStatus(*row) for row in rows], None if reported is None else float(reported[0])

    def status_now(self) -> list[StreamStatus] | None:
        """What the streams do now; ``None``: no fleet runs."""
        streams, reported = self.status()
        return streams if reported is not None and time.time() - reported < FRESH else None

    def look(self, name: str) -> bytes | None:
        """The newest picture of a stream, as JPEG. The fleet makes them for :data:`LOOK_SECONDS` from now on; ``None``:
        there is none yet.
        """
        now = time.time()
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (name, now + LOOK_SECONDS))
            found = self._database.execute(
                "SELECT jpeg FROM pictures, fleet WHERE name = ? AND reported > ?", (name, now - FRESH)
            ).fetchone()
        return None if found is None else bytes(found[0])

    def looked(self) -> set[str]:
        """The streams that are looked at now."""
        now = time.time()
        with self._errors():
            # A clock that was set back keeps no look for longer than it lasts.
            found = self._database.execute(
                "SELECT name FROM looked WHERE until BETWEEN ? AND ?", (now, now + LOOK_SECONDS)
            ).fetchall()
        return {name for (name,) in found}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise ConfigurationError(f"the fleet's states in {self._path}: {error}", option="state") from error
