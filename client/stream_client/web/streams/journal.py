"""What a run said and found, for those who watch it and those who come later."""

import io
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_client.errors import StreamClientError
from stream_client.frames import Label, Result, StreamInfo
from stream_client.monitoring.observer import ConnectionState, Observer
from stream_client.sinks.labels import label_row
from stream_client.sinks.output_file import sink_errors
from stream_client.util.redact import redact
from stream_client.web.streams.followers import Followers

MAX_BYTES = 32 << 20
"""Of each of the two files of labels: the newest 32 to 64 MiB are kept."""
_LOG_LINES = 200
_CHUNK = 1 << 16
_MOST_TRACKS = 32
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class TrackRow:
    """A track in a frame. ``name`` is the label of a person, the class of another thing, ``None`` where none is known.

    ``repetitions`` is ``None`` where nobody counts them.
    """

    number: int
    name: str | None
    score: float | None
    repetitions: int | None = None


def tracks_of(result: Result) -> tuple[TrackRow, ...]:
    """The persons of a result, or else the tracks of its detections, by number."""
    if result.persons:
        return tuple(_person(person.number, person.label) for person in result.persons[:_MOST_TRACKS])
    found = result.detections
    if found is None or found.track_ids is None:
        return ()
    followed = sorted((int(track), index) for index, track in enumerate(found.track_ids) if track >= 0)
    return tuple(
        TrackRow(track, found.name(index), float(found.scores[index])) for track, index in followed[:_MOST_TRACKS]
    )


def _person(number: int, label: Label | None) -> TrackRow:
    if label is None:
        return TrackRow(number, None, None)
    return TrackRow(number, label.name, label.score, label.repetitions)


class Journal:
    """A sink that keeps the labels of the newest frames as JSON Lines, and hands each row to those who follow.

    One thread writes. Everything else is safe from any thread.
    """

    name = "journal"

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / ".labels.old.jsonl", folder / ".labels.jsonl")
        self._lock = threading.Lock()
        self.followers: Followers[Row] = Followers()
        """Who gets each row."""
        self._size = 0
        self._file: io.FileIO | None = None
        self.label: Label | None = None
        """The label of the newest frame that has one."""
        self.tracks: tuple[TrackRow, ...] = ()
        """Who and what is followed in the newest frame, 32 at most."""

    def open(self, info: StreamInfo) -> None:
        """Begin a new file."""
        with sink_errors("the labels cannot be kept", "data_dir"):
            self._paths[0].unlink(missing_ok=True)
            self._file = self._paths[1].open("wb", buffering=0)
        self._size = 0

    def write(self, result: Result) -> bool:
        """Keep the row of a result and hand it on."""
        row = label_row(result)
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        assert self._file is not None
        with self._lock, sink_errors("the labels cannot be kept", "data_dir"):
            if self._size + len(line) > MAX_BYTES:
                self._file.close()
                self._paths[1].replace(self._paths[0])
                self._file = self._paths[1].open("wb", buffering=0)
                self._size = 0
            self._file.write(line)
            self._size += len(line)
        if result.label is not None:
            self.label = result.label
        self.tracks = tracks_of(result)
        self.followers.put(row)
        return True

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def labels(self) -> Iterator[bytes]:
        """The lines that are kept, in chunks, up to now."""
        with self._lock:
            files = [path.open("rb") for path in self._paths if path.exists()]
            sizes = [file.seek(0, 2) for file in files]
        try:
            for file, size in zip(files, sizes, strict=True):
                file.seek(0)
                left = size
                while left and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        finally:
            for file in files:
                file.close()


class Log(Observer):
    """The newest lines about a stream, with their time in seconds since 1970. Safe from any thread."""

    def __init__(self) -> None:
        self._lines: deque[tuple[float, str]] = deque(maxlen=_LOG_LINES)
        self._states: dict[str, ConnectionState] = {}

    def add(self, text: str | StreamClientError) -> None:
        """Append a line, without credentials."""
        self._lines.append((time.time(), redact(str(text))))

    def state(self, connection: str, state: ConnectionState) -> None:
        """Note a change of a connection."""
        if self._states.get(connection) != state:
            self._states[connection] = state
            self.add(f"{connection}: {state}")

    def lines(self) -> list[tuple[float, str]]:
        """The lines now, the oldest first."""
        return list(self._lines)
