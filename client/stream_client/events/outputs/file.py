"""Events as JSON Lines."""

import json
import sys
from pathlib import Path
from typing import IO

from stream_client.errors import SinkError
from stream_client.events.event import Message
from stream_client.events.rules import Rule


class FileOutput:
    """Appends a line for each message, flushed; ``-`` is standard output. What the file had stays."""

    def __init__(self, path: Path) -> None:
        self.name = f"events {path}"
        self._path = path
        self._file: IO[str] | None = None

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Open the file; raises :class:`.SinkError`."""
        if str(self._path) == "-":
            self._file = sys.stdout
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot write {self._path}: {error.strerror}", option="events_output") from error

    def expect(self, message: Message) -> None:
        """Nothing to do."""

    def send(self, message: Message) -> None:
        """Append a line."""
        assert self._file is not None
        self._file.write(json.dumps(message, ensure_ascii=False) + "\n")
        self._file.flush()

    def abort(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None and self._file is not sys.stdout:
            self._file.close()
        self._file = None
