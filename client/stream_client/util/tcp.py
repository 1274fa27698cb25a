"""What the system has to know about a TCP connection of ours."""

import socket

_MOST_MILLISECONDS = 2**31 - 1


def prepare(connection: socket.socket, timeout: float) -> None:
    """Send without delay, and notice within ``timeout`` seconds that the other machine has gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # a machine that has gone acknowledges nothing: Linux waits 15 minutes
        milliseconds = min(round(1000 * timeout), _MOST_MILLISECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
