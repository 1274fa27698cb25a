"""A server of HTTP/2 that does what a test says, frame by frame."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stream_client.transport.http2.frames import (
    END_HEADERS,
    END_STREAM,
    HEAD_BYTES,
    PREFACE,
    Head,
    Kind,
    frame,
    number,
    parse_head,
)
from stream_client.transport.http2.headers import HeaderCodec
from stream_client.transport.http2.inbox import Inbox


class Client:
    """The server's end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inbox = Inbox(connection)

    def read(self) -> tuple[Head, bytes]:
        """The next frame."""
        head = parse_head(self._inbox.take(HEAD_BYTES))
        return head, self._inbox.take(head.length)

    def read_until(self, kind: Kind) -> tuple[Head, bytes]:
        """The next frame of that kind."""
        while (found := self.read())[0].kind != kind:
            pass
        return found

    def send(self, data: bytes) -> None:
        """Any bytes."""
        self._connection.sendall(data)

    def give_room(self, count: int, stream: int = 1) -> None:
        """Let the client send so many bytes more."""
        self.send(frame(Kind.WINDOW_UPDATE, 0, 0, number(count)) + frame(Kind.WINDOW_UPDATE, 0, stream, number(count)))

    def message(self, data: bytes, flags: int = 0, stream: int = 1) -> None:
        """A message in one frame."""
        self.send(frame(Kind.DATA, flags, stream, struct.pack(">BI", 0, len(data)) + data))

    def trailers(self, **headers: str) -> None:
        """The end of the call."""
        block = HeaderCodec().encode((name.replace("_", "-"), value) for name, value in headers.items())
        self.send(frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, block))


class ScriptedServer:
    """Serves a connection at ``address`` with each of ``scripts``, and closes it after that; to be entered."""

    def __init__(self, folder: Path, *scripts: Callable[[Client], None]) -> None:
        self.address = f"unix:{folder / 'server'}"
        self._scripts = scripts
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / "server"))
        self._listening.listen(1)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for script in self._scripts:
            connection, _ = self._listening.accept()
            with connection:
                client = Client(connection)
                assert client._inbox.take(len(PREFACE)) == PREFACE
                with suppress(EOFError, OSError):  # the client has left
                    script(client)

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listening.close()
