"""A socket to a server: by TCP, or of Unix."""

import socket

from stream_client.util.tcp import connect, prepare

_DEAD_AFTER_SECONDS = 20
"""Until data that nobody confirms shows that the server's machine is gone."""
_IDLE_SECONDS, _PROBE_SECONDS = 300, 5


def connected(address: str, timeout: float) -> tuple[str, socket.socket]:
    """How HTTP/2 names the server at ``address``, and a socket to it, within ``timeout`` s; raises :class:`OSError`.

    How long the system may look up a name is the system's to say.
    """
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
    made = connect(host.strip("[]"), int(port), timeout)
    made.settimeout(None)
    prepare(made, _DEAD_AFTER_SECONDS)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wishes = {
        "TCP_KEEPIDLE": _IDLE_SECONDS,
        "TCP_KEEPALIVE": _IDLE_SECONDS,  # what macOS calls it
        "TCP_KEEPINTVL": _PROBE_SECONDS,
    }
    for name, value in wishes.items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return address, made
