"""A socket to a server: by TCP, or of Unix."""

import socket

_DEAD_AFTER_MS = 20_000
"""Until data that nobody confirms shows that the server's machine is gone."""
_IDLE_SECONDS, _PROBE_SECONDS = 300, 5


def connected(address: str, timeout: float) -> tuple[str, socket.socket]:
    """How HTTP/2 names the server at ``address``, and a socket to it; raises :class:`OSError`."""
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(timeout)
            path = address.removeprefix("unix:")
            made.connect(path.removeprefix("//"))
        except OSError:
            made.close()
            raise
        made.settimeout(None)
        return "localhost", made
    host, _, port = address.rpartition(":")
    made = socket.create_connection((host.strip("[]"), int(port)), timeout)
    made.settimeout(None)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wishes = {"TCP_USER_TIMEOUT": _DEAD_AFTER_MS, "TCP_KEEPIDLE": _IDLE_SECONDS, "TCP_KEEPINTVL": _PROBE_SECONDS}
    for name, value in wishes.items():
        if hasattr(socket, name):  # on Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return address, made
