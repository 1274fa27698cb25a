"""JSON Lines files, and errors of the system while writing a file."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from stream_client.errors import SinkError


@contextmanager
def sink_errors(what: str, option: str) -> Iterator[None]:
    """Turn an error of the system into a :class:`SinkError`: ``cannot write a.mp4: Is a directory``."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"{what}: {error.strerror or error}", option=option) from error


class JsonLines:
    """A file of JSON objects, one a line, flushed line by line; ``-`` is standard output. Raises :class:`SinkError`."""

    def __init__(self, path: Path, option: str) -> None:
        self._path = path
        self._option = option
        with sink_errors(f"cannot write {path}", option):
            self._file: IO[str] = sys.stdout if str(path) == "-" else path.open("w", encoding="utf-8")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a line."""
        with sink_errors(f"writing {self._path} failed", self._option):
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not sys.stdout:
            with sink_errors(f"finishing {self._path} failed", self._option):
                self._file.close()
