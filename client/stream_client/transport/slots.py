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


class Slots:
    """A file in shared memory, divided into ``count`` slots of ``size`` bytes. Safe from several threads.

    Memory is taken slot by slot, when one is first used. A ``sealed`` file cannot be shortened, so a server may map it.
    It has no name in the folder, only this process's descriptor. Raises :class:`OSError` where there is no memory.
    """

    def __init__(self, size: int, count: int, *, sealed: bool = False) -> None:
        self.size = size
        self.name = f"{_PREFIX}{secrets.token_hex(16)}"  # nobody else can name it
        self._stride = -(-(_START + size) // mmap.PAGESIZE) * mmap.PAGESIZE
        self.byte_size = self._stride * count
        self._sealed = sealed
        if sealed:
            self._descriptor = os.memfd_create(self.name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        else:
            _remove_leftovers()
            self._descriptor = os.open(_FOLDER / self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        weakref.finalize(self, os.close, self._descriptor)
        try:
            os.ftruncate(self._descriptor, self.byte_size)
            if sealed:
                fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
            self._memory = mmap.mmap(self._descriptor, self.byte_size)
        except BaseException:
            self.unlink()
            raise
        self._free = deque(range(count))  # append and pop are atomic: a finalizer may run at any time
        self._backed = 0

    @property
    def key(self) -> str:
        """Where the server finds the file."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}" if self._sealed else f"/{self.name}"

    def unlink(self) -> None:
        """Remove the name. The memory is freed with its last user."""
        if not self._sealed:
            (_FOLDER / self.name).unlink(missing_ok=True)

    def take(self) -> int | None:
        """The offset of a free slot, preferably the one that was used last."""
        try:
            slot = self._free.popleft()
        except IndexError:
            return None
        offset = slot * self._stride
        if slot >= self._backed:
            try:
                os.posix_fallocate(self._descriptor, offset, self._stride)
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
