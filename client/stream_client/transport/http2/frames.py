"""Frames of HTTP/2 as bytes (RFC 9113, sections 4 and 6). No I/O."""

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from stream_client.transport.message import Part

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
FIRST_WINDOW = 65_535
"""Bytes that may be sent before anything is agreed on, on a connection and on each stream."""
FIRST_FRAME = 16_384
"""Bytes of the largest frame before anything is agreed on."""
MOST_WINDOW = 2**31 - 1
MOST_FRAME = 2**24 - 1
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
_HEAD = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")


class Kind(IntEnum):
    """Of a frame."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Setting(IntEnum):
    """What one side tells the other about itself."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5


class Head(NamedTuple):
    """What is before a frame's body of ``length`` bytes."""

    length: int
    kind: int
    flags: int
    stream: int


def head(kind: Kind, flags: int, stream: int, length: int) -> bytes:
    """The bytes before a body of ``length`` bytes."""
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def parse_head(data: bytes) -> Head:
    """The head in :data:`HEAD_BYTES` bytes."""
    high, low, kind, flags, stream = _HEAD.unpack(data)
    return Head(high << 8 | low, kind, flags, stream & MOST_WINDOW)


def frame(kind: Kind, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A whole frame."""
    return head(kind, flags, stream, len(body)) + body


def settings(values: dict[Setting, int]) -> bytes:
    """A frame of settings."""
    return frame(Kind.SETTINGS, 0, 0, b"".join(_SETTING.pack(*each) for each in values.items()))


def parse_settings(body: bytes) -> dict[int, int]:
    """The settings in a frame's body; raises :class:`ValueError` for what is none."""
    if len(body) % _SETTING.size:
        raise ValueError(f"settings of {len(body)} bytes")
    return dict(_SETTING.iter_unpack(body))


def number(value: int) -> bytes:
    """A number as the body of a frame."""
    return _NUMBER.pack(value)


def parse_number(body: bytes) -> int:
    """The number at the start of a frame's body, of 31 bits; raises :class:`ValueError` where there is none."""
    if len(body) < _NUMBER.size:
        raise ValueError(f"a number of {len(body)} bytes")
    value: int = _NUMBER.unpack_from(body)[0]
    return value & MOST_WINDOW


def unpadded(flags: int, body: bytes) -> bytes:
    """A body without padding and priority; raises :class:`ValueError` where they are longer than it."""
    start, end = 0, len(body)
    if flags & PADDED:
        if not body:
            raise ValueError("padding without a length")
        start, end = 1, end - body[0]
    if flags & PRIORITY:
        start += 5
    if start > end:
        raise ValueError("more padding than frame")
    return body[start:end]


class Body:
    """Parts of a message that leave in frames. Nothing is copied."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.left = sum(map(len, parts))
        """Bytes that have not left."""
        self._parts = [memoryview(part) for part in reversed(parts) if len(part)]
        self._offset = 0  # in the last of them, which is the next one to leave

    def frames(self, stream: int, count: int, most: int) -> Iterator[Part]:
        """The next ``count`` bytes in frames of at most ``most`` bytes, each after its head."""
        self.left -= count
        full = head(Kind.DATA, 0, stream, most)
        while count:
            size = min(count, most)
            yield full if size == most else head(Kind.DATA, 0, stream, size)
            count -= size
            while size:
                part = self._parts[-1]
                start = self._offset
                self._offset = end = min(start + size, len(part))
                yield part[start:end]
                size -= end - start
                if end == len(part):
                    self._parts.pop()
                    self._offset = 0
