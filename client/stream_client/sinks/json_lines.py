"""JSON Lines files."""

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from stream_client.sinks.output_file import OutputFile, sink_errors


class JsonLines:
    """A file of JSON objects, one a line, in UTF-8, flushed line by line; ``-`` is standard output.

    A file that was there before stays until :meth:`begin`. Raises :class:`~stream_client.errors.SinkError`.
    """

    def __init__(self, path: Path, option: str) -> None:
        self._path = path
        self._option = option
        self._output: OutputFile | None = None
        with sink_errors(f"cannot write {path}", option):
            if str(path) == "-":
                self._file = _standard_output()
            else:
                self._output = OutputFile(path, option)
                self._file = self._output.written_to.open("w", encoding="utf-8")

    def begin(self) -> None:
        """A frame was delivered: the file takes its place, also where it has no line yet."""
        if self._output is not None:
            self._output.take_place()

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a line."""
        with sink_errors(f"writing {self._path} failed", self._option):
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._file.flush()
        self.begin()

    def close(self) -> None:
        """Close the file."""
        try:
            if self._file is not sys.stdout:
                with sink_errors(f"finishing {self._path} failed", self._option):
                    self._file.close()
            if self._output is not None:
                self._output.check()
        finally:
            if self._output is not None:
                self._output.close()


def _standard_output() -> IO[str]:
    """Standard output in UTF-8, whatever the locale."""
    try:
        descriptor = os.dup(sys.stdout.fileno())
    except io.UnsupportedOperation:  # a program's own object, as contextlib.redirect_stdout sets it
        return sys.stdout
    sys.stdout.flush()
    return os.fdopen(descriptor, "w", encoding="utf-8")
