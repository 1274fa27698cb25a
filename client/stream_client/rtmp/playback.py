"""A viewer's side of RTMP: the stream as FLV (Adobe's Video File Format 10.1, annex E). No I/O: bytes in, bytes out."""

import struct
from typing import ClassVar

from stream_client.errors import RtmpError
from stream_client.rtmp import amf
from stream_client.rtmp.address import RtmpAddress
from stream_client.rtmp.chunks import AUDIO, COMMAND, DATA, USER_CONTROL, VIDEO, Message, message_bytes
from stream_client.rtmp.session import Session

_MOST_BYTES = 16 << 20
"""Of an encoded frame, as of other sources."""
_MOST_EARLY = 2000
_BUFFER_LENGTH = struct.pack("!H", 3)
_BUFFER_MILLISECONDS = 100
_LIVE_OR_RECORDED = -2
_SET_DATA = amf.encode("@setDataFrame")
_HAS_VIDEO, _HAS_AUDIO = 1, 4
_ENDS = ("NetStream.Play.UnpublishNotify", "NetStream.Play.Complete", "NetStream.Play.Stop")


class Playback(Session):
    """From the handshake to FLV, which :meth:`flv` gives.

    What comes before the first frame tells whether there is sound. FFmpeg would wait for sound that never comes.
    """

    REFUSALS: ClassVar = {
        "NetStream.Play.StreamNotFound": "nobody publishes there",
        "NetStream.Play.BadName": "nobody publishes there",
        "NetStream.Play.Failed": "the server does not play this stream",
    }

    def __init__(self, address: RtmpAddress) -> None:
        super().__init__(address, _MOST_BYTES)
        self._early: list[Message] | None = []
        self._flv = bytearray()
        self.ended = False
        """Whether the server has ended the stream."""

    def flv(self) -> bytes:
        """The bytes since the last call."""
        data, self._flv = bytes(self._flv), bytearray()
        return data

    def _announced(self) -> bytes:
        return b""

    def _used(self, number: int) -> bytes:
        length = _BUFFER_LENGTH + struct.pack("!II", self._stream, _BUFFER_MILLISECONDS)
        play = amf.encode("play", number, None, self._address.key, _LIVE_OR_RECORDED)
        return self._message(COMMAND, play, 0) + message_bytes(Message(USER_CONTROL, length))

    def _take_status(self, code: str) -> None:
        self.ready = self.ready or code == "NetStream.Play.Start"
        self.ended = self.ended or code in _ENDS

    def _take_media(self, message: Message) -> None:
        if message.kind not in (AUDIO, VIDEO, DATA) or not message.payload:
            return
        self.ready = True
        if self._early is None:
            self._flv += _tag(message)
            return
        self._early.append(message)
        if len(self._early) > _MOST_EARLY:
            raise RtmpError("the stream has no video")
        if message.kind == VIDEO and _is_frame(message.payload):
            sound = any(each.kind == AUDIO or _announces_sound(each) for each in self._early)
            self._flv += b"FLV\x01" + bytes([_HAS_VIDEO | (_HAS_AUDIO if sound else 0)]) + b"\0\0\0\x09\0\0\0\0"
            self._flv += b"".join(map(_tag, self._early))
            self._early = None


def _is_frame(video: bytes) -> bool:
    """Whether a message is a frame, and no header of the codec's."""
    if video[0] & 0x80:  # Enhanced RTMP: the type of the packet is in the first byte
        return video[0] & 0x0F in (1, 3)
    return len(video) > 1 and video[1] == 1


def _announces_sound(message: Message) -> bool:
    if message.kind != DATA:
        return False
    *_, about = [None, *amf.decode(message.payload)]
    return isinstance(about, dict) and bool(about.get("audiocodecid"))


def _tag(message: Message) -> bytes:
    payload = message.payload
    if message.kind == DATA:
        payload = payload.removeprefix(_SET_DATA)
    time = message.time & 0xFFFFFFFF
    head = bytes([message.kind]) + len(payload).to_bytes(3, "big") + (time & 0xFFFFFF).to_bytes(3, "big")
    head += bytes([time >> 24]) + bytes(3)
    return head + payload + struct.pack("!I", len(head) + len(payload))
