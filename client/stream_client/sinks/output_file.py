"""Files that are written beside their place, so that what was there stays until something better comes."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_client.errors import SinkError

_LONGEST_NAME = 200
"""Bytes. A longer name leaves no room for the addition, so it is not kept in that of the new file."""


@contextmanager
def sink_errors(what: str, option: str) -> Iterator[None]:
    """Turn an error of the system into a :class:`SinkError`: ``cannot write a.mp4: Is a directory``."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"{what}: {error.strerror or error}", option=option) from error


class OutputFile:
    """A file on its way to ``path``. :attr:`written_to` is where to write it.

    The constructor makes the new file beside the old one, and raises :class:`SinkError` where that is impossible.
    :meth:`take_place` renames it over the old one; a new file that never took its place is removed by :meth:`close`.
    Devices and pipes have no old content: they are written directly. For one thread.
    """

    def __init__(self, path: Path, option: str) -> None:
        self._shown = path
        self._option = option
        self._descriptor: int | None = None
        if _is_missing(path.parent):
            raise SinkError(
                f"cannot write {path}: No such file or directory: make the folder {path.parent} first", option=option
            )
        with sink_errors(f"cannot write {path}", option):
            mode = _mode(path)
            self.is_pipe = mode is not None and stat.S_ISFIFO(mode)
            """Whether it has to be opened by Python: FFmpeg waits for a pipe's reader with the interpreter locked."""
            if mode is None or stat.S_ISREG(mode):
                self._path = Path(os.path.realpath(path))  # a link stays a link
                self.written_to = self._create(mode)
            elif stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            else:
                self._path = self.written_to = path

    def take_place(self) -> None:
        """Make the new file the one at ``path``; call it again to check that it is still there."""
        self.check()
        if self._descriptor is not None and self.written_to != self._path:
            with sink_errors(f"writing {self._shown} failed", self._option):
                os.replace(self.written_to, self._path)
            self.written_to = self._path

    def check(self) -> None:
        """Raise :class:`SinkError` if the file was deleted: what is written now is lost."""
        if self._descriptor is not None and not os.fstat(self._descriptor).st_nlink:
            raise SinkError(f"{self._shown} was deleted while it was written", option=self._option)

    def close(self) -> None:
        """Remove the file if it has not taken its place. Safe twice."""
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        if self.written_to != self._path:
            self.written_to.unlink(missing_ok=True)

    def _create(self, mode: int | None) -> Path:
        path = self._path
        if mode is not None:
            os.close(os.open(path, os.O_WRONLY))  # refuses what may not be written
        permissions = 0o666 if mode is None else stat.S_IMODE(mode)
        name = path.stem if len(os.fsencode(path.name)) < _LONGEST_NAME else ""
        new = path.with_name(f".{name}.{secrets.token_hex(4)}{path.suffix}")
        self._descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, permissions)
        return new


def _is_missing(folder: Path) -> bool:
    try:
        return not folder.exists()
    except OSError:
        return False  # opening the file says what is wrong


def _mode(path: Path) -> int | None:
    """The mode of the file that ``path`` leads to; ``None`` where there is none yet."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
