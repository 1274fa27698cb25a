"""A TCP link of limited bandwidth, as a proxy on loopback."""

import contextlib
import math
import queue
import socket
import threading
import time
from types import TracebackType


class NarrowLink:
    """Passes what comes to :attr:`address` on to ``target``, ``rate`` bytes a second each way."""

    PIECE = 65_536

    def __init__(self, target: str, rate: float) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._rate = rate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "NarrowLink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):  # its peer has gone already
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
                for each in (client, server):
                    # Small buffers, as the link has none of its own.
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * self.PIECE)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * self.PIECE)
            except OSError:  # nobody is there any more
                client.close()
                continue
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pump, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(self.PIECE):
                time.sleep(len(piece) / self._rate)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


class LongLink(NarrowLink):
    """Passes everything on ``delay`` seconds later, each way, as fast as it came."""

    def __init__(self, target: str, delay: float) -> None:
        self._delay = delay
        super().__init__(target, math.inf)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        pieces: queue.Queue[tuple[float, bytes]] = queue.Queue()
        sender = threading.Thread(target=self._send, args=(pieces, sink))
        sender.start()
        with contextlib.suppress(OSError):
            while piece := source.recv(self.PIECE):
                pieces.put((time.monotonic() + self._delay, piece))
        pieces.put((0, b""))
        sender.join()

    def _send(self, pieces: "queue.Queue[tuple[float, bytes]]", sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (item := pieces.get())[1]:
                time.sleep(max(0.0, item[0] - time.monotonic()))
                sink.sendall(item[1])
            sink.shutdown(socket.SHUT_WR)
