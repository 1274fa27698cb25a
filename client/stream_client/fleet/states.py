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
_BUSY_SECONDS = 5.0
_COLUMNS = tuple(each.name for each in fields(StreamStatus))
_TABLES = f"""
CREATE TABLE IF NOT EXISTS wanted (name TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS status ({", ".join(_COLUMNS)}, PRIMARY KEY (name));
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
            self._database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_TABLES}")

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

    def report(self, streams: Sequence[StreamStatus]) -> None:
        """Write down what the streams do now."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._errors(), self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM status")
            self._database.executemany(f"INSERT INTO status VALUES ({marks})", map(astuple, streams))
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

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise ConfigurationError(f"the fleet's states in {self._path}: {error}", option="state") from error
