"""A registered part of a shared memory file, and a place in it for a tensor."""

import fcntl
import mmap
import os
import re
import stat
import weakref
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from graph_server.service.status import Refusal

FOLDER = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory."""
PROCESSES = Path("/proc")
_SEALED = re.compile(r"/proc/([0-9]{1,10})/fd/([0-9]{1,10})")
"""The key of a file without a name (memfd_create(2)): a process and its descriptor."""


class Region:
    """A registered part of a shared memory file of ``user``; closed with its last user.

    A file that cannot be shortened is mapped: copies then take half the time. Others are read and written by system
    calls. Raises :class:`Refusal` for everything but a regular file that belongs to that user.
    """

    def __init__(self, name: str, key: str, offset: int, byte_size: int, user: int) -> None:
        self.name, self.key, self.offset, self.byte_size, self.user = name, key, offset, byte_size, user
        sealed = _SEALED.fullmatch(key)
        self._descriptor = _open(key, user) if sealed is None else _open_sealed(key, name, user)
        weakref.finalize(self, os.close, self._descriptor)
        end = offset + byte_size
        if end > os.fstat(self._descriptor).st_size:
            raise refused(f"failed to register shared memory region '{name}': invalid args")
        self._memory: np.ndarray[tuple[int], np.dtype[np.uint8]] | None = None
        self.mapped = end if sealed is not None else 0
        """Bytes that are mapped."""
        if self.mapped:
            try:
                self._memory = np.frombuffer(mmap.mmap(self._descriptor, self.mapped), np.uint8)
            except OSError as error:
                raise refused(f"failed to register shared memory region '{name}': {error.strerror}") from error

    def read(self, offset: int, size: int) -> memoryview:
        """A copy of ``size`` bytes, which nobody can write; raises :class:`Refusal`."""
        self.check(offset, size)
        start = self.offset + offset
        if self._memory is not None:
            return self._memory[start : start + size].copy().data.toreadonly()
        data = os.pread(self._descriptor, size, start)
        if len(data) != size:
            raise refused(f"Invalid offset + byte size for shared memory region: '{self.name}'")
        return memoryview(data)

    def write(self, offset: int, data: memoryview) -> bool:
        """Write all of ``data``, a place that was checked; whether there was memory for it."""
        start = self.offset + offset
        if self._memory is not None:
            self._memory[start : start + len(data)] = np.frombuffer(data, np.uint8)
            return True
        try:
            return os.pwrite(self._descriptor, data, start) == len(data)
        except OSError:
            return False

    def check(self, offset: int, size: int) -> None:
        """Raises :class:`Refusal` for bytes outside the region."""
        if offset < 0 or size < 0 or offset + size > self.byte_size:
            raise refused(f"Invalid offset + byte size for shared memory region: '{self.name}'")


@dataclass(frozen=True, slots=True)
class RegionPlace:
    """A place in a registered region, of a tensor."""

    region: Region
    offset: int
    byte_size: int


def refused(text: str) -> Refusal:
    """A refusal with INVALID_ARGUMENT, as Triton has it."""
    return Refusal(text, code=grpc.StatusCode.INVALID_ARGUMENT)


def _open(key: str, user: int) -> int:
    """A descriptor of the file ``key``. It is looked at before it is opened: opening a FIFO wakes its other end."""
    plain = key.removeprefix("/")
    if not plain or "/" in plain or plain in (".", ".."):
        raise _cannot_open(key)
    looked_at = _look_at(key, FOLDER / plain, os.O_NOFOLLOW)
    try:
        return _open_as_user(key, looked_at, user)
    finally:
        os.close(looked_at)


def _open_sealed(key: str, name: str, user: int) -> int:
    """A descriptor of the memfd ``key``, which has the region's name and cannot be shortened.

    Its mount says what it is, and cannot be forged: asking a file of a user's own file system (FUSE) may take for ever.
    """
    if not hasattr(os, "memfd_create"):  # in builds of Python for old systems
        raise _cannot_open(key)
    looked_at = _look_at(key, PROCESSES / key.removeprefix("/proc/"), 0)
    try:
        with os.fdopen(os.memfd_create("own", os.MFD_CLOEXEC), "rb") as own:
            known = _mount_of(own.fileno())
        # In another container the same numbers may mean another process.
        named = os.readlink(f"/proc/self/fd/{looked_at}") == f"/memfd:{name} (deleted)"
        if _mount_of(looked_at) != known or not named:
            raise _cannot_open(key)
        descriptor = _open_as_user(key, looked_at, user)
    except OSError as error:
        raise _cannot_open(key) from error
    finally:
        os.close(looked_at)
    if not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
        os.close(descriptor)
        raise refused(f"Unable to open shared memory region: '{key}': it can be shortened")
    return descriptor


def _look_at(key: str, path: Path, flags: int) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
    except (OSError, ValueError) as error:  # a name with NUL
        raise _cannot_open(key) from error


def _mount_of(descriptor: int) -> str:
    """The number of the mount that a file is on."""
    found = re.search(r"mnt_id:\s*([0-9]+)", Path(f"/proc/self/fdinfo/{descriptor}").read_text())
    return "" if found is None else found[1]


def _open_as_user(key: str, looked_at: int, user: int) -> int:
    try:
        found = os.fstat(looked_at)
        if not stat.S_ISREG(found.st_mode):
            raise _cannot_open(key, ": it is no regular file")
        if found.st_uid != user:
            raise _cannot_open(key, ": it does not belong to the user of this connection")
        # Without waiting for a lease (fcntl(2)) that the client has on it.
        return os.open(f"/proc/self/fd/{looked_at}", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _cannot_open(key) from error


def _cannot_open(key: str, why: str = "") -> Refusal:
    return refused(f"Unable to open shared memory region: '{key}'{why}")
