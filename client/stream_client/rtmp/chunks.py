"""Messages in chunks (RTMP 1.0, section 5.3). No I/O."""

import struct
from dataclasses import dataclass, field

from stream_client.errors import RtmpError

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE = 1, 2, 3, 4, 5
AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20
CHUNK_BYTES = 65_536
"""Of what this side sends."""
_LARGEST_CHUNK = 1 << 20
_MOST_STREAMS = 64
_EXTENDED = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``stream`` is 0 for the connection. ``time`` in milliseconds, modulo 2^32."""

    kind: int
    payload: bytes
    stream: int = 0
    time: int = 0


def message_bytes(message: Message, chunk_size: int = CHUNK_BYTES) -> bytes:
    """The message in chunks, with a full header."""
    chunk_stream = {VIDEO: 6, AUDIO: 7, DATA: 4, COMMAND: 3}.get(message.kind, 2)
    extended = struct.pack("!I", message.time) if message.time >= _EXTENDED else b""
    time = min(message.time, _EXTENDED).to_bytes(3, "big")
    header = bytes([chunk_stream]) + time + len(message.payload).to_bytes(3, "big") + bytes([message.kind])
    parts = [header, struct.pack("<I", message.stream), extended, message.payload[:chunk_size]]
    for start in range(chunk_size, len(message.payload), chunk_size):
        parts += [bytes([0xC0 | chunk_stream]), extended, message.payload[start : start + chunk_size]]
    return b"".join(parts)


@dataclass(slots=True)
class _ChunkStream:
    kind: int = 0
    length: int = 0
    stream: int = 0
    time: int = 0
    extended: bool = False
    payload: bytearray = field(default_factory=bytearray)


class ChunkReader:
    """Puts the server's messages together. All that are not complete have ``most_bytes`` together, at most."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held = 0
        self._received = bytearray()
        self._streams: dict[int, _ChunkStream] = {}
        self.chunk_size = 128
        self.total = 0
        """Bytes received so far."""

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes; the messages that are complete now. Raises :class:`.RtmpError`."""
        self._received += data
        self.total += len(data)
        messages = []
        while (parsed := self._chunk()) is not None:
            message, used = parsed
            del self._received[:used]
            if message is not None:
                if message.kind == SET_CHUNK_SIZE and len(message.payload) >= 4:
                    self.chunk_size = max(
                        1, min(_LARGEST_CHUNK, struct.unpack("!I", message.payload[:4])[0] & 0x7FFFFFFF)
                    )
                messages.append(message)
        return messages

    def _chunk(self) -> tuple[Message | None, int] | None:
        data = self._received
        if not data:
            return None
        form, number, position = data[0] >> 6, data[0] & 0x3F, 1
        if number < 2:
            position += number + 1
            if len(data) < position:
                return None
            number = 64 + data[1] + (data[2] << 8 if position == 3 else 0)
        size = (11, 7, 3, 0)[form]
        if len(data) < position + size:
            return None
        if number not in self._streams and len(self._streams) >= _MOST_STREAMS:
            raise RtmpError("the server opens too many chunk streams")
        before = self._streams.get(number, _ChunkStream())
        header = bytes(data[position : position + size])
        position += size
        time = int.from_bytes(header[:3], "big") if form < 3 else before.time
        extended = time == _EXTENDED if form < 3 else before.extended
        if extended:
            if len(data) < position + 4:
                return None
            time = int.from_bytes(data[position : position + 4], "big")
            position += 4
        length = int.from_bytes(header[3:6], "big") if form < 2 else before.length
        kind = header[6] if form < 2 else before.kind
        stream = struct.unpack("<I", header[7:11])[0] if form == 0 else before.stream
        if length > self._most_bytes:
            raise RtmpError(f"the server sends a message of {length} bytes")
        end = position + min(self.chunk_size, length - len(before.payload))
        if len(data) < end:
            return None
        payload = before.payload
        payload += data[position:end]
        self._held += end - position
        complete = len(payload) >= length
        if complete:
            self._held -= len(payload)
        elif self._held > self._most_bytes:
            raise RtmpError("the server begins too many messages")
        rest = bytearray() if complete else payload
        self._streams[number] = _ChunkStream(kind, length, stream, time, extended, rest)
        return (Message(kind, bytes(payload), stream, time) if complete else None), end
