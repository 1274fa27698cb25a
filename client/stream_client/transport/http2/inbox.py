"""What comes from a socket: small parts through a buffer, large ones straight to where they belong."""

import socket


class Inbox:
    """For one thread. Raises :class:`EOFError` where the connection has ended, and :class:`OSError`."""

    SIZE = 1 << 18
    """Bytes that are taken from the system at once."""
    DIRECT = 1 << 16
    """Bytes from which on a part does not go through the buffer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = memoryview(bytearray(self.SIZE))
        self._start = self._end = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, :attr:`SIZE` at most."""
        while self._end - self._start < count:
            self._receive()
        self._start += count
        return bytes(self._buffer[self._start - count : self._start])

    def fill(self, target: memoryview) -> None:
        """Fill ``target`` with the next bytes."""
        position, size = 0, len(target)
        while position < size:
            count = min(size - position, self._end - self._start)
            if count:
                target[position : position + count] = self._buffer[self._start : self._start + count]
                self._start += count
            elif size - position >= self.DIRECT:
                count = _some(self._connection.recv_into(target[position:]))
            else:
                self._receive()
            position += count

    def skip(self, count: int) -> None:
        """Leave out the next ``count`` bytes."""
        while count:
            part = min(count, self.SIZE)
            self.take(part)
            count -= part

    def _receive(self) -> None:
        """Take what is there, behind what is left."""
        left = self._end - self._start
        if self._start:
            self._buffer[:left] = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, left
        self._end += _some(self._connection.recv_into(self._buffer[left:]))


def _some(count: int) -> int:
    if not count:
        raise EOFError
    return count
