"""A connection of HTTP/2 to a server of gRPC, without TLS (RFC 9113)."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from socket import SHUT_RDWR

import grpc

from stream_client.transport.http2.dialing import connected
from stream_client.transport.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FIRST_FRAME,
    FIRST_WINDOW,
    HEAD_BYTES,
    MOST_FRAME,
    MOST_WINDOW,
    PADDED,
    PREFACE,
    Body,
    Head,
    Kind,
    Setting,
    frame,
    number,
    parse_head,
    parse_number,
    parse_settings,
    settings,
    unpadded,
)
from stream_client.transport.http2.headers import HeaderCodec
from stream_client.transport.http2.inbox import Inbox
from stream_client.transport.http2.outbox import Outbox
from stream_client.transport.http2.stream import PREFIX, CallEnded, Stream
from stream_client.transport.message import Message

_CANCEL = 8
"""HTTP/2's error of a call that its client gives up."""
_ERRORS = {
    7: grpc.StatusCode.UNAVAILABLE,  # refused
    _CANCEL: grpc.StatusCode.CANCELLED,
    11: grpc.StatusCode.RESOURCE_EXHAUSTED,  # enhance your calm
    12: grpc.StatusCode.PERMISSION_DENIED,  # inadequate security
}
"""gRPC's statuses of HTTP/2's errors; of others INTERNAL."""


class Http2Connection:
    """Any thread sends; the one that iterates over :meth:`answers` reads for all calls.

    Flow control bounds what is sent. What comes is bounded by the system's buffer: whoever reads takes it in at once.
    """

    MOST_HEADER_BYTES = HeaderCodec.MOST_BYTES
    MOST_TOGETHER = 1 << 20
    """Bytes of a message that nothing comes between, such as the answer to a question of the other side."""
    MOST_TAKEN = MOST_WINDOW // 4
    """Bytes that come until the other side is given room for as many again."""

    def __init__(self, address: str, timeout: float) -> None:
        """Connect; raises :class:`OSError`."""
        self._authority, self._socket = connected(address, timeout)
        self._headers = HeaderCodec()
        self._inbox = Inbox(self._socket)
        self._outbox = Outbox(self._socket)
        self._beginning = threading.Lock()
        self._changed = threading.Condition()
        self._window = self._stream_window = FIRST_WINDOW
        self._most_frame = FIRST_FRAME
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._taken = 0  # bytes that came since the other side was last given room for them
        self._end: tuple[grpc.StatusCode, str] | None = None
        wishes = {Setting.ENABLE_PUSH: 0}
        wishes |= {Setting.INITIAL_WINDOW_SIZE: MOST_WINDOW, Setting.MAX_FRAME_SIZE: MOST_FRAME}
        try:
            self._outbox.write([PREFACE, settings(wishes), _room(0, MOST_WINDOW - FIRST_WINDOW)])
        except OSError:
            self._socket.close()
            raise

    def begin(self, path: str) -> Stream:
        """Begin a call of the method at ``path``."""
        headers = [
            *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", self._authority)),
            *(("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "ovms-stream-client")),
        ]
        with self._beginning:  # numbers have to begin their calls in order
            with self._changed:
                if self._end is not None:
                    raise CallEnded(*self._end)
                stream = Stream(self._next, self._stream_window)
                self._streams[self._next] = stream
                self._next += 2
            self._outbox.write([frame(Kind.HEADERS, END_HEADERS, stream.number, self._headers.encode(headers))])
        return stream

    def send(self, stream: Stream, message: Message) -> None:
        """Send a message, which may wait for the network. Raises :class:`CallEnded`, and :class:`OSError`."""
        body = Body([PREFIX.pack(0, len(message)), *message.parts])
        while body.left:
            with self._changed:
                self._changed.wait_for(lambda: stream.ended.is_set() or min(self._window, stream.window) > 0)
                if stream.ended.is_set():
                    raise CallEnded(stream.code or grpc.StatusCode.CANCELLED, stream.details)
                count = min(self._window, stream.window, body.left, self.MOST_TOGETHER)
                self._window -= count
                stream.window -= count
            self._outbox.write(body.frames(stream.number, count, self._most_frame))

    def finish(self, stream: Stream) -> None:
        """Half-close a call."""
        if not stream.ended.is_set():
            self._outbox.write([frame(Kind.DATA, END_STREAM, stream.number)])

    def answers(self, stream: Stream) -> Iterator[memoryview]:
        """Read until a call has ended: its messages. Raises :class:`CallEnded` where it did not end well."""
        while True:
            while stream.answers:
                yield stream.answers.popleft()
            if stream.code is grpc.StatusCode.OK:
                return
            if stream.code is not None:
                raise CallEnded(stream.code, stream.details)
            try:
                self._read_frame()
            except CallEnded as end:
                self.end_calls(end.code(), end.details())
            except EOFError:
                self.end_calls(grpc.StatusCode.UNAVAILABLE, "the server closed the connection")
            except OSError as error:
                self.end_calls(grpc.StatusCode.UNAVAILABLE, error.strerror or str(error))
            except ValueError as error:
                self.end_calls(grpc.StatusCode.UNAVAILABLE, f"the server does not speak HTTP/2: {error}")

    def unary(self, path: str, data: bytes, timeout: float) -> bytes:
        """Make a call with one answer while another thread reads. Raises :class:`CallEnded`, and :class:`OSError`."""
        stream = self.begin(path)
        self.send(stream, Message([data]))
        self.finish(stream)
        if not stream.ended.wait(timeout):
            stream.end(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time")
            self._drop_ended(stream)
            self._outbox.reply(frame(Kind.RST_STREAM, 0, stream.number, number(_CANCEL)))
        if stream.code is not grpc.StatusCode.OK or len(stream.answers) != 1:
            raise CallEnded(stream.code or grpc.StatusCode.UNKNOWN, stream.details)
        return bytes(stream.answers.popleft())

    def cut(self) -> None:
        """End every call that has not ended. Safe from any thread, and twice."""
        self.end_calls(grpc.StatusCode.CANCELLED, "the call was cancelled")

    def close(self) -> None:
        """Close the socket. No other thread uses it any more."""
        self.cut()
        self._socket.close()

    def end_calls(self, code: grpc.StatusCode, details: str) -> None:
        """End every call so, and every wait for the network; only the first end counts. Safe from any thread."""
        with self._changed:
            self._end = self._end or (code, details)
            for stream in self._streams.values():
                stream.end(code, details)
            self._changed.notify_all()
        with suppress(OSError):  # the other side was first
            self._socket.shutdown(SHUT_RDWR)

    # --- reading

    def _read_frame(self) -> None:
        found = parse_head(self._inbox.take(HEAD_BYTES))
        if found.kind == Kind.DATA:
            self._read_data(found)
            return
        if found.length > self.MOST_HEADER_BYTES:
            raise ValueError(f"a frame of kind {found.kind} with {found.length} bytes")
        body = self._inbox.take(found.length)
        match found.kind:
            case Kind.HEADERS:
                self._read_headers(found, unpadded(found.flags, body))
            case Kind.SETTINGS if not found.flags & ACK:
                self._take_settings(parse_settings(body))
            case Kind.PING if not found.flags & ACK:
                self._outbox.reply(frame(Kind.PING, ACK, 0, body))
            case Kind.WINDOW_UPDATE:
                self._widen(found.stream, parse_number(body))
            case Kind.RST_STREAM:
                self._reset(found.stream, parse_number(body))
            case Kind.GOAWAY:
                self._go_away(parse_number(body), body[8:])
            case Kind.PUSH_PROMISE | Kind.CONTINUATION:
                raise ValueError("a frame that was not asked for")

    def _read_data(self, found: Head) -> None:
        left, padding = found.length, 0
        if found.flags & PADDED:
            padding = self._inbox.take(1)[0]
            left -= padding + 1
        if left < 0:
            raise ValueError("more padding than frame")
        stream = self._streams.get(found.stream)
        if stream is None or stream.code is not None:
            self._inbox.skip(left)
        else:
            while left:
                room = stream.room[:left]
                self._inbox.fill(room)
                left -= len(room)
                stream.filled(len(room))
        self._inbox.skip(padding)
        if found.flags & END_STREAM and stream is not None:
            stream.end(grpc.StatusCode.UNKNOWN, "the server ended the call without a status")
            self._drop_ended(stream)
        self._give_room(stream, found.length)

    def _give_room(self, stream: Stream | None, count: int) -> None:
        """Let the other side send as much again, now and then, on the connection and to the stream."""
        self._taken += count
        if self._taken > self.MOST_TAKEN:
            self._outbox.reply(_room(0, self._taken))
            self._taken = 0
        if stream is not None and stream.code is None:
            stream.taken += count
            if stream.taken > self.MOST_TAKEN:
                self._outbox.reply(_room(stream.number, stream.taken))
                stream.taken = 0

    def _read_headers(self, found: Head, block: bytes) -> None:
        flags = found.flags
        while not flags & END_HEADERS:
            following = parse_head(self._inbox.take(HEAD_BYTES))
            size = len(block) + following.length
            wrong = following.kind != Kind.CONTINUATION or following.stream != found.stream
            if wrong or size > self.MOST_HEADER_BYTES:
                raise ValueError(f"headers of {size} bytes, or cut off")
            block += self._inbox.take(following.length)
            flags |= following.flags
        headers = self._headers.decode(block)
        stream = self._streams.get(found.stream)
        if stream is not None:
            stream.headers(headers, last=bool(flags & END_STREAM))
            self._drop_ended(stream)

    def _take_settings(self, wishes: dict[int, int]) -> None:
        with self._changed:
            window = wishes.get(Setting.INITIAL_WINDOW_SIZE, self._stream_window)
            for stream in self._streams.values():
                stream.window += window - self._stream_window
            self._stream_window = window
            self._most_frame = max(FIRST_FRAME, min(MOST_FRAME, wishes.get(Setting.MAX_FRAME_SIZE, self._most_frame)))
            self._changed.notify_all()
        self._outbox.reply(frame(Kind.SETTINGS, ACK, 0))

    def _widen(self, stream: int, count: int) -> None:
        with self._changed:
            if not stream:
                self._window += count
            elif stream in self._streams:
                self._streams[stream].window += count
            self._changed.notify_all()

    def _reset(self, which: int, error: int) -> None:
        stream = self._streams.get(which)
        if stream is not None:
            stream.end(_ERRORS.get(error, grpc.StatusCode.INTERNAL), f"the server reset the call (error {error})")
            self._drop_ended(stream)

    def _go_away(self, last: int, rest: bytes) -> None:
        """The server takes no more calls; those up to ``last`` go on."""
        text = rest[:200].decode("utf-8", "replace")
        end = grpc.StatusCode.UNAVAILABLE, f"the server goes away {text}".rstrip()
        with self._changed:
            self._end = self._end or end
            refused = [stream for stream in self._streams.values() if stream.number > last]
        for stream in refused:
            stream.end(*end)
            self._drop_ended(stream)

    def _drop_ended(self, stream: Stream) -> None:
        """Forget a call that has ended, and wake whoever sends to it."""
        if stream.code is not None:
            with self._changed:
                self._streams.pop(stream.number, None)
                self._changed.notify_all()


def _room(stream: int, count: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, 0, stream, number(count))
