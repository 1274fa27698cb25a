"""A client's side of RTMP up to its stream: handshake, connect, createStream. No I/O: bytes in, bytes out."""

import secrets
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from stream_client.errors import RtmpError
from stream_client.rtmp import amf
from stream_client.rtmp.address import RtmpAddress
from stream_client.rtmp.chunks import (
    ACKNOWLEDGEMENT,
    CHUNK_BYTES,
    COMMAND,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    WINDOW_SIZE,
    ChunkReader,
    Message,
    message_bytes,
)

_VERSION, _HANDSHAKE = 3, 1536
_PING, _PONG = 6, 7
_CONNECT, _CREATE, _USE = 1, 4, 5
_REFUSALS = {
    "NetConnection.Connect.Rejected": "the server refuses the connection: look at the application and the credentials",
    "NetConnection.Connect.InvalidApp": "the server has no such application: correct the URL's path",
}


class Session(ABC):
    """What a publisher and a viewer have in common. Send what each call returns.

    ``most_bytes``: of a message of the server. Raises :class:`.RtmpError` for refusals and for what is no RTMP.
    """

    REFUSALS: ClassVar[Mapping[str, str]] = {}
    """What a server's codes mean for the stream."""

    def __init__(self, address: RtmpAddress, most_bytes: int) -> None:
        self._address = address
        self._handshake = bytearray()
        self._shaken = False
        self._chunks = ChunkReader(most_bytes)
        self._window = 0
        self._acknowledged = 0
        self._stream = 0
        self.ready = False
        """Whether the server has begun the stream."""

    def begin(self) -> bytes:
        """The first bytes."""
        return bytes([_VERSION]) + bytes(8) + secrets.token_bytes(_HANDSHAKE - 8)

    def receive(self, data: bytes) -> bytes:
        """Take the server's bytes; what to answer."""
        if not self._shaken:
            self._handshake += data
            if self._handshake and self._handshake[0] != _VERSION:
                raise RtmpError("the server does not speak RTMP")
            if len(self._handshake) < 1 + 2 * _HANDSHAKE:
                return b""
            self._shaken = True
            answer = bytes(self._handshake[1 : 1 + _HANDSHAKE]) + self._connect()
            return answer + self.receive(bytes(self._handshake[1 + 2 * _HANDSHAKE :]))
        answer = b"".join(self._take(message) for message in self._chunks.feed(data))
        if self._window and self._chunks.total - self._acknowledged >= self._window:
            self._acknowledged = self._chunks.total
            answer += message_bytes(Message(ACKNOWLEDGEMENT, struct.pack("!I", self._acknowledged & 0xFFFFFFFF)))
        return answer

    @abstractmethod
    def _announced(self) -> bytes:
        """What comes between connect and createStream."""

    @abstractmethod
    def _used(self, number: int) -> bytes:
        """The command, with that number, that says what the stream is for."""

    @abstractmethod
    def _take_status(self, code: str) -> None:
        """Take what the server says about the stream, where it is no error."""

    @abstractmethod
    def _take_media(self, message: Message) -> None:
        """Take a message that is neither a command nor about the connection."""

    def _message(self, kind: int, payload: bytes, time: int) -> bytes:
        return message_bytes(Message(kind, payload, self._stream, time & 0xFFFFFFFF))

    def _connect(self) -> bytes:
        about = {
            "app": self._address.application,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; ovms-stream-client)",
            "tcUrl": self._address.url,
        }
        size = message_bytes(Message(SET_CHUNK_SIZE, struct.pack("!I", CHUNK_BYTES)), 128)
        return size + message_bytes(Message(COMMAND, amf.encode("connect", _CONNECT, about)))

    def _take(self, message: Message) -> bytes:
        if message.kind == WINDOW_SIZE and len(message.payload) >= 4:
            (self._window,) = struct.unpack("!I", message.payload[:4])
        elif message.kind == USER_CONTROL and message.payload[:2] == struct.pack("!H", _PING):
            return message_bytes(Message(USER_CONTROL, struct.pack("!H", _PONG) + message.payload[2:6]))
        elif message.kind == COMMAND:
            return self._take_command(amf.decode(message.payload))
        else:
            self._take_media(message)
        return b""

    def _take_command(self, values: list[amf.Value]) -> bytes:
        name = values[0] if values else None
        number = values[1] if len(values) > 1 else None
        about = values[3] if len(values) > 3 else None
        if name == "_error" and number in (_CONNECT, _CREATE, _USE):
            raise self._refusal(about)
        if name == "_result" and number == _CONNECT:
            return self._announced() + message_bytes(Message(COMMAND, amf.encode("createStream", _CREATE, None)))
        if name == "_result" and number == _CREATE and isinstance(about, float):
            self._stream = int(about)
            return self._used(_USE)
        if name == "onStatus" and isinstance(about, Mapping):
            if about.get("level") == "error":
                raise self._refusal(about)
            self._take_status(str(about.get("code")))
        return b""

    def _refusal(self, about: amf.Value) -> RtmpError:
        fields = about if isinstance(about, Mapping) else {}
        code, description = str(fields.get("code", "")), str(fields.get("description", ""))
        known = (_REFUSALS | dict(self.REFUSALS)).get(code)
        said = ": ".join(part for part in (code, description) if part) or "an error"
        return RtmpError(f"{known} ({said})" if known else f"the server refuses the stream ({said})", code)
