"""One call of gRPC on a connection: its messages from the bytes that come, and how it ended."""

import struct
import threading
from collections import deque
from collections.abc import Mapping
from urllib.parse import unquote

import grpc
import numpy as np

from stream_client.transport.channel import MAX_ANSWER_BYTES

MOST_ANSWERS = 4096
"""Messages in one frame; it has 16 MB at most, and a message may have 5 bytes."""
PREFIX = struct.Struct(">BI")
"""Before a message: whether it is compressed, and its size."""
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_OF_HTTP = {
    "400": grpc.StatusCode.INTERNAL,
    "401": grpc.StatusCode.UNAUTHENTICATED,
    "403": grpc.StatusCode.PERMISSION_DENIED,
    "404": grpc.StatusCode.UNIMPLEMENTED,
    **dict.fromkeys(("429", "502", "503", "504"), grpc.StatusCode.UNAVAILABLE),
}
"""gRPC's "HTTP to gRPC Status Code Mapping", for answers of something that is no server of gRPC."""


class CallEnded(grpc.RpcError):
    """A call has ended with another status than OK."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """gRPC's status."""
        return self._code

    def details(self) -> str:
        """What the server says about it."""
        return self._details


class Stream:
    """A call with the number ``number``, to which ``window`` bytes may be sent. One thread takes in what comes."""

    def __init__(self, number: int, window: int) -> None:
        self.number = number
        self.window = window
        self.taken = 0
        """Bytes that came since the other side was last given room for them."""
        self.answers: deque[memoryview] = deque()
        """Messages that have come, and nobody has taken."""
        self.code: grpc.StatusCode | None = None
        """How it ended."""
        self.details = ""
        self.ended = threading.Event()
        self._prefix = memoryview(bytearray(PREFIX.size))
        self._message: memoryview | None = None
        self._filled = 0

    @property
    def room(self) -> memoryview:
        """Where the next bytes of the call belong; never empty."""
        return (self._prefix if self._message is None else self._message)[self._filled :]

    def filled(self, count: int) -> None:
        """So many bytes are in :attr:`room`. Raises :class:`CallEnded` for a message that is not taken."""
        self._filled += count
        if self._message is None and self._filled == PREFIX.size:
            compressed, size = PREFIX.unpack(self._prefix)
            if compressed:
                raise CallEnded(grpc.StatusCode.INTERNAL, "a compressed answer, which was not asked for")
            if size > MAX_ANSWER_BYTES:
                text = f"CLIENT: Received message larger than max ({size} vs. {MAX_ANSWER_BYTES})"
                raise CallEnded(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
            self._message, self._filled = np.empty(size, np.uint8).data, 0
        if self._message is not None and self._filled == len(self._message):
            if len(self.answers) == MOST_ANSWERS:
                raise CallEnded(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {MOST_ANSWERS} answers at once")
            self.answers.append(self._message)
            self._message, self._filled = None, 0

    def headers(self, found: Mapping[str, str], *, last: bool) -> None:
        """Headers came; the ``last`` ones say how the call ended."""
        status = found.get(":status", "200")
        if "grpc-status" in found and last:
            code = found["grpc-status"]
            known = _CODES.get(int(code)) if code.isascii() and code.isdigit() else None
            self.end(known or grpc.StatusCode.UNKNOWN, unquote(found.get("grpc-message", "")))
        elif status != "200":
            code_of_http = _OF_HTTP.get(status, grpc.StatusCode.UNKNOWN)
            self.end(code_of_http, f"Received http2 header with status: {status}")
        elif last:
            self.end(grpc.StatusCode.UNKNOWN, "the server ended the call without a status")

    def end(self, code: grpc.StatusCode, details: str) -> None:
        """The call has ended; only the first end counts."""
        if self.code is None:
            if code is grpc.StatusCode.OK and self._filled:
                code, details = grpc.StatusCode.INTERNAL, "the server ended the call inside an answer"
            self.code, self.details = code, details
            self.ended.set()
