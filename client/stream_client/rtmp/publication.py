"""A publisher's side of RTMP: video, and sound beside it. No I/O: bytes in, bytes out."""

import struct
from fractions import Fraction
from typing import ClassVar

from stream_client.rtmp import amf
from stream_client.rtmp.address import RtmpAddress
from stream_client.rtmp.chunks import AUDIO, COMMAND, DATA, VIDEO, Message, message_bytes
from stream_client.rtmp.session import Session

_MOST_BYTES = 1 << 20
_AVC = 7
_AAC = 10
_AAC_TAG = b"\xaf"
"""AAC always says 44 kHz, 16 bits, stereo; what is right is in its configuration (Adobe's FLV 10.1, E.4.2.1)."""


class Publication(Session):
    """From the handshake to frames. ``ready`` once frames may be sent."""

    REFUSALS: ClassVar = {
        "NetStream.Publish.BadName": "somebody publishes this stream already, or the server does not know its key",
        "NetStream.Publish.Denied": "the server refuses this stream key",
    }

    def __init__(self, address: RtmpAddress) -> None:
        super().__init__(address, _MOST_BYTES)

    def header(
        self,
        parameter_sets: tuple[bytes, bytes],
        size: tuple[int, int],
        frame_rate: Fraction | None,
        sound: bytes | None = None,
    ) -> bytes:
        """What comes before the first frame: its size, rate and parameter sets, and AAC's configuration, ``sound``."""
        about = {"width": size[0], "height": size[1], "videocodecid": _AVC}
        if frame_rate is not None:
            about["framerate"] = float(frame_rate)  # type: ignore[assignment]
        if sound is not None:
            about["audiocodecid"] = _AAC
        sps, pps = parameter_sets
        # ISO/IEC 14496-15, 5.2.4.1: AVCDecoderConfigurationRecord.
        record = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack("!H", len(sps)) + sps
        record += b"\x01" + struct.pack("!H", len(pps)) + pps
        data = amf.encode("@setDataFrame", "onMetaData", about)
        header = self._message(DATA, data, 0) + self._message(VIDEO, b"\x17\x00\0\0\0" + record, 0)
        return header if sound is None else header + self._message(AUDIO, _AAC_TAG + b"\0" + sound, 0)

    def frame(self, units: list[bytes], *, key: bool, time: int) -> bytes:
        """A frame of these NAL units; ``time`` in milliseconds since the first."""
        body = b"".join(struct.pack("!I", len(unit)) + unit for unit in units)
        return self._message(VIDEO, (b"\x17" if key else b"\x27") + b"\x01\0\0\0" + body, time)

    def sound(self, data: bytes, *, time: int) -> bytes:
        """A packet of AAC; ``time`` in milliseconds since the first frame."""
        return self._message(AUDIO, _AAC_TAG + b"\x01" + data, time)

    def end(self) -> bytes:
        """Good-bye."""
        if not self.ready:
            return b""
        name = amf.encode("FCUnpublish", 6, None, self._address.key)
        return message_bytes(Message(COMMAND, name)) + message_bytes(
            Message(COMMAND, amf.encode("deleteStream", 7, None, self._stream))
        )

    def _announced(self) -> bytes:
        commands = (("releaseStream", 2), ("FCPublish", 3))
        return b"".join(
            message_bytes(Message(COMMAND, amf.encode(command, each, None, self._address.key)))
            for command, each in commands
        )

    def _used(self, number: int) -> bytes:
        return self._message(COMMAND, amf.encode("publish", number, None, self._address.key, "live"), 0)

    def _take_status(self, code: str) -> None:
        self.ready = self.ready or code == "NetStream.Publish.Start"

    def _take_media(self, message: Message) -> None:
        """A publisher gets none."""
