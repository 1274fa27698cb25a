"""A publisher's side of RTMP: handshake, commands, video. No I/O: bytes in, bytes out."""

import secrets
import struct
from collections.abc import Mapping
from fractions import Fraction

from stream_client.errors import OutputRefusedError
from stream_client.rtmp import amf
from stream_client.rtmp.chunks import (
    ACKNOWLEDGEMENT,
    CHUNK_BYTES,
    COMMAND,
    DATA,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    VIDEO,
    WINDOW_SIZE,
    ChunkReader,
    Message,
    message_bytes,
)

_VERSION, _HANDSHAKE = 3, 1536
_PING, _PONG = 6, 7
_CONNECT, _CREATE, _PUBLISH = 1, 4, 5
_AVC = 7
_REFUSALS = {
    "NetStream.Publish.BadName": "somebody publishes this stream already, or the server does not know its key",
    "NetStream.Publish.Denied": "the server refuses this stream key",
    "NetConnection.Connect.Rejected": "the server refuses the connection: look at the application and the credentials",
    "NetConnection.Connect.InvalidApp": "the server has no such application: correct the URL's path",
}


class Publication:
    """From the handshake to frames. ``ready`` once frames may be sent. Send what each call returns."""

    def __init__(self, application: str, key: str, address: str) -> None:
        self._application = application
        self._key = key
        self._address = address
        self._handshake = bytearray()
        self._shaken = False
        self._chunks = ChunkReader()
        self._window = 0
        self._acknowledged = 0
        self._stream = 0
        self.ready = False

    def begin(self) -> bytes:
        """The first bytes."""
        return bytes([_VERSION]) + bytes(8) + secrets.token_bytes(_HANDSHAKE - 8)

    def receive(self, data: bytes) -> bytes:
        """Take the server's bytes; what to answer. Raises :class:`.OutputRefusedError` for a refusal."""
        if not self._shaken:
            self._handshake += data
            if self._handshake and self._handshake[0] != _VERSION:
                raise OutputRefusedError("the server does not speak RTMP")
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

    def header(self, parameter_sets: tuple[bytes, bytes], size: tuple[int, int], frame_rate: Fraction | None) -> bytes:
        """What comes before the first frame: its size, rate and parameter sets."""
        about = {"width": size[0], "height": size[1], "videocodecid": _AVC}
        if frame_rate is not None:
            about["framerate"] = float(frame_rate)  # type: ignore[assignment]
        sps, pps = parameter_sets
        # ISO/IEC 14496-15, 5.2.4.1: AVCDecoderConfigurationRecord.
        record = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack("!H", len(sps)) + sps
        record += b"\x01" + struct.pack("!H", len(pps)) + pps
        data = amf.encode("@setDataFrame", "onMetaData", about)
        return self._message(DATA, data, 0) + self._message(VIDEO, b"\x17\x00\0\0\0" + record, 0)

    def frame(self, units: list[bytes], *, key: bool, time: int) -> bytes:
        """A frame of these NAL units; ``time`` in milliseconds since the first."""
        body = b"".join(struct.pack("!I", len(unit)) + unit for unit in units)
        return self._message(VIDEO, (b"\x17" if key else b"\x27") + b"\x01\0\0\0" + body, time)

    def end(self) -> bytes:
        """Good-bye."""
        if not self.ready:
            return b""
        name = amf.encode("FCUnpublish", 6, None, self._key)
        return message_bytes(Message(COMMAND, name)) + message_bytes(
            Message(COMMAND, amf.encode("deleteStream", 7, None, self._stream))
        )

    def _message(self, kind: int, payload: bytes, time: int) -> bytes:
        return message_bytes(Message(kind, payload, self._stream, time & 0xFFFFFFFF))

    def _connect(self) -> bytes:
        about = {
            "app": self._application,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; ovms-stream-client)",
            "tcUrl": self._address,
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
        return b""

    def _take_command(self, values: list[amf.Value]) -> bytes:
        name = values[0] if values else None
        number = values[1] if len(values) > 1 else None
        about = values[3] if len(values) > 3 else None
        if name == "_error" and number in (_CONNECT, _CREATE, _PUBLISH):
            raise _refusal(about)
        if name == "_result" and number == _CONNECT:
            commands = (("releaseStream", 2), ("FCPublish", 3))
            before = b"".join(
                message_bytes(Message(COMMAND, amf.encode(command, each, None, self._key)))
                for command, each in commands
            )
            return before + message_bytes(Message(COMMAND, amf.encode("createStream", _CREATE, None)))
        if name == "_result" and number == _CREATE and isinstance(about, float):
            self._stream = int(about)
            publish = amf.encode("publish", _PUBLISH, None, self._key, "live")
            return self._message(COMMAND, publish, 0)
        if name == "onStatus" and isinstance(about, Mapping):
            if about.get("level") == "error":
                raise _refusal(about)
            self.ready = self.ready or about.get("code") == "NetStream.Publish.Start"
        return b""


def _refusal(about: amf.Value) -> OutputRefusedError:
    fields = about if isinstance(about, Mapping) else {}
    code, description = str(fields.get("code", "")), str(fields.get("description", ""))
    known = _REFUSALS.get(code)
    said = ": ".join(part for part in (code, description) if part) or "an error"
    return OutputRefusedError(f"{known} ({said})" if known else f"the server refuses the stream ({said})")
