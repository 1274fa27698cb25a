"""A proxy that passes the first bytes of each connection to a server, and keeps the rest back."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def holding_back(address: str, most: int) -> Iterator[str]:
    """The address of a proxy to ``address`` that passes ``most`` bytes of each client on."""
    host, _, port = address.rpartition(":")
    ended = threading.Event()
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(work: threading.Thread) -> None:
        threads.append(work)
        work.start()

    def accept(listener: socket.socket) -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                client, _ = listener.accept()
                server = socket.create_connection((host, int(port)))
                sockets.extend((client, server))
                start(threading.Thread(target=_pass_on, args=(client, server, most, ended)))
                start(threading.Thread(target=_pass_on, args=(server, client, 1 << 62, ended)))

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(0.2)
        start(threading.Thread(target=accept, args=(listener,)))
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            for opened in sockets:
                with contextlib.suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for opened in sockets:
                opened.close()


def _pass_on(source: socket.socket, target: socket.socket, most: int, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while most > 0 and (data := source.recv(min(most, 1 << 20))):
            target.sendall(data)
            most -= len(data)
        if most > 0:
            target.shutdown(socket.SHUT_RDWR)  # the source has left
        ended.wait()
