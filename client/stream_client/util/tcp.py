"""What the system has to know about a TCP connection of ours."""

import socket
import time
from collections.abc import Callable

_MOST_MILLISECONDS = 2**31 - 1


def connect(
    host: str, port: int, within: float, trying: Callable[[socket.socket], None] = lambda _: None
) -> socket.socket:
    """A connection to an address of ``host``, within that many seconds, but for what its look-up takes longer.

    ``trying`` is called with each socket before it connects; it may keep it, and raise. Raises :class:`OSError`.
    """
    end = time.monotonic() + within
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        connection = socket.socket(family, kind, protocol)
        trying(connection)
        try:
            # One that never answers, as an address of IPv6 without a route, leaves time for the others.
            connection.settimeout(max(0.001, end - time.monotonic()) / left)
            connection.connect(address)
        except OSError:
            connection.close()
            if left == 1:
                raise
        else:
            return connection
    raise OSError(f"{host} has no address")


def prepare(connection: socket.socket, timeout: float) -> None:
    """Send without delay, and notice within ``timeout`` seconds that the other machine has gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # a machine that has gone acknowledges nothing: Linux waits 15 minutes
        milliseconds = min(round(1000 * timeout), _MOST_MILLISECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
