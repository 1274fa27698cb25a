"""A registered part of a shared memory file, and a place in it for a tensor."""

import os
import stat
import weakref
from dataclasses import dataclass
from pathlib import Path

import grpc

from graph_server.service.status import Refusal

FOLDER = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory."""


class Region:
    """A registered part of a shared memory file of ``user``; closed with its last user.

    Raises :class:`Refusal` for everything but a regular file that belongs to that user.
    """

    def __init__(self, name: str, key: str, offset: int, byte_size: int, user: int) -> None:
        self.name, self.key, self.offset, self.byte_size, self.user = name, key, offset, byte_size, user
        self._descriptor = _open(key, user)
        weakref.finalize(self, os.close, self._descriptor)
        if offset + byte_size > os.fstat(self._descriptor).st_size:
            raise refused(f"failed to register shared memory region '{name}': invalid args")

    def read(self, offset: int, size: int) -> bytes:
        """A copy of ``size`` bytes; raises :class:`Refusal`."""
        self.check(offset, size)
        data = os.pread(self._descriptor, size, self.offset + offset)
        if len(data) != size:
            raise refused(f"Invalid offset + byte size for shared memory region: '{self.name}'")
        return data

    def write(self, offset: int, data: memoryview) -> bool:
        """Write all of ``data``; whether there was memory for it."""
        try:
            return os.pwrite(self._descriptor, data, self.offset + offset) == len(data)
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
    text = f"Unable to open shared memory region: '{key}'"
    if not plain or "/" in plain or plain in (".", ".."):
        raise refused(text)
    try:
        looked_at = os.open(FOLDER / plain, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # a name with NUL
        raise refused(text) from error
    try:
        found = os.fstat(looked_at)
        if not stat.S_ISREG(found.st_mode):
            raise refused(f"{text}: it is no regular file")
        if found.st_uid != user:
            raise refused(f"{text}: it does not belong to the user of this connection")
        # Without waiting for a lease (fcntl(2)) that the client has on it.
        return os.open(f"/proc/self/fd/{looked_at}", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise refused(text) from error
    finally:
        os.close(looked_at)
