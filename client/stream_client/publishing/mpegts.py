"""H.264 and sound that are encoded already as bytes of MPEG-TS (ISO/IEC 13818-1).

FFmpeg's muxer would hold each frame back until the next sound has come.
"""

import logging
from collections.abc import Iterator

import av
import av.error

from stream_client.publishing.wire import PublishedFrame
from stream_client.rtsp.h264 import CLOCK_RATE, split_access_unit
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import LIVE_SILENCE, SoundRule
from stream_client.sound.track import SoundFormat

logger = logging.getLogger(__name__)

_PACKET = 188
DATAGRAM = 7 * _PACKET
"""Bytes: as many packets of MPEG-TS as fit into an Ethernet frame."""
_SOUND_TYPES = {"aac": 0x0F, "mp3": 0x03}
SOUND_RULE = SoundRule(frozenset(_SOUND_TYPES), "aac", channels=2, silence=LIVE_SILENCE)
_TABLE_PID, _PROGRAM_PID, _VIDEO_PID, _SOUND_PID = 0, 0x1000, 0x100, 0x101
_VIDEO_TYPE, _VIDEO_STREAM, _SOUND_STREAM = 0x1B, 0xE0, 0xC0
_TABLES_SECONDS = 0.5
_SOUND_LEAD = 0.1
"""Seconds that the stream's clock is behind the frames where there is sound, which comes after its frames."""
_DELIMITER = 9
_DELIMITER_UNIT = b"\0\0\0\x01\x09\xf0"


class TransportStream:
    """Muxes one frame after another, and the sound that belongs before them. For one thread.

    ``sound`` is in a format that :data:`SOUND_RULE` allows.
    """

    def __init__(self, sound: SoundFormat | None = None) -> None:
        self._counters: dict[int, int] = {}
        self._sound = None if sound is None else _elementary(sound)
        streams = [(_VIDEO_TYPE, _VIDEO_PID)]
        if sound is not None and self._sound is not None:
            streams.append((_SOUND_TYPES[sound.codec], _SOUND_PID))
        self._lead = 0 if self._sound is None else round(_SOUND_LEAD * CLOCK_RATE)
        self._tables = _program_list(), _program(streams)
        self._next_tables = 0

    def mux(self, frame: PublishedFrame) -> bytes:
        """The packets of a frame."""
        parts: list[bytes] = []
        if frame.key or frame.time >= self._next_tables:
            self._next_tables = frame.time + round(_TABLES_SECONDS * CLOCK_RATE)
            for pid, table in zip((_TABLE_PID, _PROGRAM_PID), self._tables, strict=True):
                parts += self._packets(pid, b"\0" + table, b"")
        units = split_access_unit(frame.data)
        delimited = bool(units) and units[0][0] & 0x1F == _DELIMITER
        data = frame.data if delimited else _DELIMITER_UNIT + frame.data
        field = bytes([0x50 if frame.key else 0x10]) + _clock(frame.time)
        parts += self._packets(_VIDEO_PID, _elementary_packet(_VIDEO_STREAM, data, frame.time + self._lead), field)
        return b"".join(parts)

    def mux_sound(self, packet: SoundPacket) -> bytes:
        """The packets of sound."""
        data = b"" if self._sound is None else self._sound.unit(packet.data)
        if not data:
            return b""
        ticks = round(packet.time * CLOCK_RATE) + self._lead
        return b"".join(self._packets(_SOUND_PID, _elementary_packet(_SOUND_STREAM, data, ticks), b""))

    def _packets(self, pid: int, payload: bytes, field: bytes) -> Iterator[bytes]:
        """``field`` is the adaptation field of the first packet, without its length."""
        position = 0
        while position < len(payload):
            room = _PACKET - 4 - (len(field) + 1 if field else 0)
            part = payload[position : position + room]
            missing = room - len(part)
            if missing and not field:
                missing -= 1  # for the field's length
                field = b"\0" if missing else b""
                missing = max(0, missing - 1)
                adaptation = bytes([len(field) + missing]) + field + b"\xff" * missing
            else:
                adaptation = bytes([len(field) + missing]) + field + b"\xff" * missing if field else b""
            counter = self._counters.get(pid, 0)
            self._counters[pid] = counter + 1 & 0x0F
            start = 0x40 if position == 0 else 0
            control = (0x30 if adaptation else 0x10) | counter
            yield bytes([0x47, start | pid >> 8, pid & 0xFF, control]) + adaptation + part
            position += len(part)
            field = b""


class _Adts:
    """FFmpeg's headers for AAC."""

    def __init__(self, sound: SoundFormat) -> None:
        self._written = bytearray()
        self._output = av.open(self, "w", format="adts")
        self._stream = self._output.add_stream_from_template(sound.template)
        self._output.start_encoding()

    def write(self, data: bytes) -> int:
        """What the muxer gives."""
        self._written += data
        return len(data)

    def unit(self, data: bytes) -> bytes:
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.pts = packet.dts = 0
        try:
            self._output.mux(packet)
        except (ValueError, av.error.FFmpegError):
            return b""
        unit, self._written = bytes(self._written), bytearray()
        return unit


class _Plain:
    def unit(self, data: bytes) -> bytes:
        return data


def _elementary(sound: SoundFormat) -> _Adts | _Plain | None:
    """``None``, and a line in the log, for what cannot be carried."""
    if sound.codec != "aac":
        return _Plain()
    try:
        return _Adts(sound)
    except (ValueError, av.error.FFmpegError) as error:
        logger.warning("sound is left out: MPEG-TS does not carry this kind of AAC (%s)", error)
        return None


def _elementary_packet(stream: int, data: bytes, ticks: int) -> bytes:
    """A PES packet (2.4.3.6) with a presentation time. That of video has no length: it may be too long for one."""
    stamp = _stamp(ticks)
    length = len(data) + 3 + len(stamp)
    size = length if stream != _VIDEO_STREAM and length < 0x10000 else 0
    return b"\0\0\x01" + bytes([stream]) + size.to_bytes(2, "big") + b"\x84\x80" + bytes([len(stamp)]) + stamp + data


def _stamp(ticks: int) -> bytes:
    """33 bits of a time, with marker bits between them."""
    return bytes(
        [
            0x21 | ticks >> 29 & 0x0E,
            ticks >> 22 & 0xFF,
            0x01 | ticks >> 14 & 0xFE,
            ticks >> 7 & 0xFF,
            0x01 | ticks << 1 & 0xFE,
        ]
    )


def _clock(ticks: int) -> bytes:
    """A program clock reference: 33 bits at 90 kHz, 6 reserved ones, 9 at 27 MHz."""
    return ((ticks & 0x1_FFFF_FFFF) << 15 | 0x7E00).to_bytes(6, "big")


def _program_list() -> bytes:
    """The program association table: one program."""
    return _section(0x00, (1).to_bytes(2, "big") + (0xE000 | _PROGRAM_PID).to_bytes(2, "big"))


def _program(streams: list[tuple[int, int]]) -> bytes:
    """The program map table; the clock comes with the video."""
    body = (0xE000 | _VIDEO_PID).to_bytes(2, "big") + b"\xf0\0"
    for kind, pid in streams:
        body += bytes([kind]) + (0xE000 | pid).to_bytes(2, "big") + b"\xf0\0"
    return _section(0x02, body)


def _section(table: int, body: bytes) -> bytes:
    """A section (2.4.4) of version 0, whose program or stream has number 1."""
    length = 5 + len(body) + 4
    section = bytes([table]) + (0xB000 | length).to_bytes(2, "big") + b"\0\x01\xc1\0\0" + body
    return section + _checksum(section).to_bytes(4, "big")


def _checksum(data: bytes) -> int:
    """CRC-32 of annex A: zlib's has its bits the other way round."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value
