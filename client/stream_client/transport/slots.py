"""Files in shared memory, divided into slots that hold a tensor each."""

import fcntl
import mmap
import os
import secrets
import time
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path

import numpy as np

_FOLDER = Path("/dev/shm")  # where Linux keeps POSIX shared memory
_PREFIX = "ovms-stream-client-"
_NAMED_SECONDS = 60  # a file has its name until the server has opened it, which takes seconds at most
_START = 128
"""Bytes. Where a tensor begins in its slot: frames of whole pages have memory behind them, too, for FFmpeg to read."""


def can_share(address: str) -> bool:
    """Whether a server at ``address`` is on this machine and this machine has POSIX shared memory as files."""
    host = address.rpartition(":")[0].strip("[]")
    local = address.startswith("unix:") or host in ("localhost", "::1") or host.startswith("127.")
    return local and _FOLDER.is_dir() and hasattr(os, "posix_fallocate")


class NamedFile:
    """A file in shared memory of ``size`` bytes, which any server finds by its name. Raises :class:`OSError`."""

    def __init__(self, name: str, size: int) -> None:
        _remove_leftovers()
        self.key = f"/{name}"
        self._path = _FOLDER / name
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        weakref.finalize(self, os.close, self.descriptor)
        try:
            os.ftruncate(self.descriptor, size)
        except BaseException:
            self.unlink()
            raise

    def unlink(self) -> None:
        """Remove the name. The memory is freed with its last user."""
        self._path.unlink(missing_ok=True)


class SealedFile:
    """A file that cannot be shortened, so our graph server maps it. Its key is a descriptor of this process.

    Raises :class:`OSError`.
    """

    def __init__(self, name: str, size: int) -> None:
        self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, self.descriptor)
        self.key = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        os.ftruncate(self.descriptor, size)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)

    def unlink(self) -> None:
        """It has no name in the folder."""


SharedFile = NamedFile | SealedFile


def kinds_of_files() -> list[type[SharedFile]]:
    """What a server is offered, the fastest first. Some builds of Python cannot seal."""
    can_seal = hasattr(os, "memfd_create") and hasattr(fcntl, "F_ADD_SEALS")
    return [SealedFile, NamedFile] if can_seal else [NamedFile]


class Slots:
    """A file in shared memory, divided into ``count`` slots of ``size`` bytes. Safe from several threads.

    Memory is taken slot by slot, when one is first used. Raises :class:`OSError` where there is none.
    """

    def __init__(self, size: int, count: int, kind: type[SharedFile]) -> None:
        self.size = size
        self.name = f"{_PREFIX}{secrets.token_hex(16)}"  # nobody else can name it
        self._stride = -(-(_START + size) // mmap.PAGESIZE) * mmap.PAGESIZE
        self.byte_size = self._stride * count
        self._file = kind(self.name, self.byte_size)
        try:
            self._memory = mmap.mmap(self._file.descriptor, self.byte_size)
        except BaseException:
            self.unlink()
            raise
        self._free = deque(range(count))  # append and pop are atomic: a finalizer may run at any time
        self._backed = 0

    @property
    def key(self) -> str:
        """Where the server finds the file."""
        return self._file.key

    def unlink(self) -> None:
        """Remove the name. The memory is freed with its last user."""
        self._file.unlink()

    def take(self) -> int | None:
        """The offset of a free slot, preferably the one that was used last."""
        try:
            slot = self._free.popleft()
        except IndexError:
            return None
        offset = slot * self._stride
        if slot >= self._backed:
            try:
                os.posix_fallocate(self._file.descriptor, offset, self._stride)
            except OSError:  # shared memory is full: this slot stays unused
                return None
            self._backed = slot + 1
        return offset + _START

    def give_back(self, offset: int) -> None:
        """The slot is free again."""
        self._free.appendleft(offset // self._stride)

    def view(self, offset: int, size: int) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
        """``size`` bytes from ``offset``; arrays made of it keep it alive."""
        return np.ndarray((size,), np.uint8, buffer=self._memory, offset=offset)


def _remove_leftovers() -> None:
    """Remove the files of this user's clients that were killed before a server had opened them."""
    oldest = time.time() - _NAMED_SECONDS
    for path in _FOLDER.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and found.st_mtime < oldest:
                path.unlink()
