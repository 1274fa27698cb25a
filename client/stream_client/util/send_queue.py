"""What the kernel holds of a connection: sent, and not acknowledged."""

import socket
import struct
import sys

_TIOCOUTQ = 0x5411
_SO_NWRITE = 0x1024
_SMALL_BUFFER = 65_536


class SendQueue:
    """Asks the kernel of ``connection``: Linux (``TIOCOUTQ``, tcp(7)) and macOS (``SO_NWRITE``).

    Elsewhere the kernel's buffer is made small, and what it holds counts as arrived.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        if sys.platform not in ("linux", "darwin"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BUFFER)

    def size(self) -> int:
        """Bytes now."""
        if sys.platform == "linux":
            import fcntl

            return int(struct.unpack("i", fcntl.ioctl(self._connection.fileno(), _TIOCOUTQ, b"\0" * 4))[0])
        if sys.platform == "darwin":
            return self._connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
        return 0
