"""What a session needs of a ``grpc.Channel``, over a connection of our own: its streaming call, and small ones."""

from collections.abc import Callable, Iterator

import grpc

from stream_client.transport.http2.connection import Http2Connection
from stream_client.transport.http2.stream import CallEnded, Stream
from stream_client.transport.message import Message
from stream_client.util.owned_thread import OwnedThread


class DirectCall:
    """A streaming call. Who iterates over it reads the connection; a thread of its own sends ``requests``."""

    def __init__(self, connection: Http2Connection, path: str, requests: Iterator[Message]) -> None:
        self._connection = connection
        self._stream: Stream = connection.begin(path)
        self.writer = OwnedThread(self._write, "stream writer", (requests,))
        self.writer.start()

    def __iter__(self) -> Iterator[memoryview]:
        """The messages of the server. Raises :class:`CallEnded` where it does not end the call well."""
        return self._connection.answers(self._stream)

    def cancel(self) -> None:
        """End the call, if it has not ended, and its connection with it. Safe from any thread."""
        if self._stream.code is None:
            self._connection.cut()

    def code(self) -> grpc.StatusCode:
        """How the call ended."""
        return self._stream.code or grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        """What the server says about the end."""
        return self._stream.details

    def _write(self, requests: Iterator[Message]) -> None:
        try:
            for request in requests:
                self._connection.send(self._stream, request)
            self._connection.finish(self._stream)
        except (CallEnded, ConnectionError, TimeoutError):
            pass  # whoever reads hears it, after the server's last words
        except Exception as error:  # noqa: BLE001 - ends the call, with its cause
            self._connection.end_calls(grpc.StatusCode.UNAVAILABLE, f"sending failed: {str(error) or repr(error)}")


class DirectChannel:
    """A connection without TLS to the server at ``address``, made within ``timeout`` s; raises :class:`OSError`.

    The second call, and each after it, has a new connection: the server may take no more calls over the last one, or
    nothing at all.
    """

    JOIN_SECONDS = 1.0
    """To wait for a thread whose socket is shut."""

    def __init__(self, address: str, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._connection = Http2Connection(address, timeout)
        self._call: DirectCall | None = None
        self._closed = False

    def stream_stream(self, path: str) -> Callable[[Iterator[Message]], DirectCall]:
        """Starts calls of the method at ``path``, one after the other; raises :class:`CallEnded`, :class:`OSError`."""

        def start(requests: Iterator[Message]) -> DirectCall:
            if self._call is not None:
                self._leave(self._connection)
                self._connection = Http2Connection(self._address, self._timeout)
            self._call = call = DirectCall(self._connection, path, requests)
            if self._closed:  # meanwhile, by another thread
                self._leave(self._connection)
            return call

        return start

    def unary_unary(self, path: str) -> Callable[[bytes, float], bytes]:
        """Makes small calls while a streaming call is read; raises as :meth:`stream_stream` does."""
        return lambda data, timeout: self._connection.unary(path, data, timeout)

    def close(self) -> None:
        """End every call and close the connection."""
        self._closed = True
        self._leave(self._connection)

    def _leave(self, connection: Http2Connection) -> None:
        connection.cut()
        if self._call is not None:
            self._call.writer.join(self.JOIN_SECONDS)
        connection.close()
