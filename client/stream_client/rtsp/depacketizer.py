"""From RTP packets (RFC 3550) to access units. No I/O."""

import struct
from dataclasses import dataclass

from stream_client.rtsp.formats import H264, Fragment, PayloadFormat

_START_CODE = b"\x00\x00\x00\x01"
_HEADER = struct.Struct("!BBHI")
_HEADER_BYTES = 12
MAX_BYTES = 16 << 20
"""Of an access unit in memory. The largest frames of cameras have a tenth of it."""
_PIECE_BYTES = 64
"""What a piece of bytes takes in memory beside its data."""


@dataclass(frozen=True, slots=True)
class PlayedUnit:
    """The NAL units of one frame, in Annex B's form. ``time``: ticks since the first frame, not modulo 2^32.

    ``damaged``: packets were lost, of this frame or just before it. ``begins``: another sender's stream begins.
    """

    data: bytes
    time: int
    damaged: bool = False
    begins: bool = False


class _Pieces(list[bytes]):
    """Pieces of an access unit, and how many bytes of memory they take."""

    size = 0

    def add(self, piece: bytes) -> None:
        self.append(piece)
        self.size += len(piece) + _PIECE_BYTES

    def clear(self) -> None:
        super().clear()
        self.size = 0


class Depacketizer:
    """Gives an access unit as soon as its last packet is there, the one with RTP's marker.

    FFmpeg's parser ignores the marker: it ends a frame when the next one begins, one frame period later. A server
    that marks packets in the middle of a frame is not trusted after the first such marker: its frames then end when
    the timestamp changes. NAL units that a lost packet leaves whole are passed on. An access unit above
    :data:`MAX_BYTES` is left out.
    """

    def __init__(self, payload_type: int, payload_format: PayloadFormat = H264) -> None:
        self._payload_type = payload_type
        self._format = payload_format
        self._damaged = False
        self._units = _Pieces()
        self._fragments = _Pieces()
        self._has_frame = False
        self._too_long = False
        self._marked = True
        self._sequence: int | None = None
        self._timestamp: int | None = None
        self._ended: int | None = None
        self._time = 0

    def take(self, packet: bytes) -> list[PlayedUnit]:
        """Take the next packet; the access units that end with it: seldom more than one."""
        if len(packet) < _HEADER_BYTES:
            return []
        first, second, sequence, timestamp = _HEADER.unpack_from(packet)
        if first >> 6 != 2 or second & 0x7F != self._payload_type:
            return []
        ended = []
        gap = self._sequence is not None and sequence != (self._sequence + 1) & 0xFFFF
        self._damaged |= gap
        if timestamp != self._timestamp:
            ended += self._end()
            self._damaged = gap
            self._begin(timestamp)
        elif self._ended == timestamp:
            self._marked = False
        if gap:
            self._fragments.clear()
        self._sequence = sequence
        if not self._too_long:
            self._take_payload(payload_of(packet))
        if second & 0x80 and self._marked and self._has_frame:
            ended += self._end()
            self._ended = timestamp
        return ended

    def time_of(self, timestamp: int) -> int:
        """The time, as an access unit has it, of an RTP timestamp that is less than 2^31 ticks away."""
        if self._timestamp is None:
            return 0
        return self._time + (timestamp - self._timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000

    def _begin(self, timestamp: int) -> None:
        # The shorter way round: B-frames come with earlier times.
        self._time = self.time_of(timestamp)
        self._timestamp, self._ended = timestamp, None

    def _end(self) -> list[PlayedUnit]:
        """The access unit so far; parameter sets without a frame go with the next one."""
        self._fragments.clear()
        if not self._has_frame and not self._too_long:
            return []
        data = b"".join(_START_CODE + unit for unit in self._units)
        whole = not self._too_long
        self._units.clear()
        damaged = self._damaged
        self._has_frame = self._too_long = self._damaged = False
        return [PlayedUnit(data, self._time, damaged)] if whole else []

    def _take_payload(self, payload: bytes) -> None:
        fragment = self._format.as_fragment(payload) if payload else None
        if fragment is not None:
            self._take_fragment(fragment)
            return
        for unit in self._format.units(payload):
            self._take_unit(unit)

    def _take_fragment(self, fragment: Fragment) -> None:
        if fragment.first:
            self._fragments.clear()
        elif not self._fragments:  # its beginning was lost
            return
        self._fragments.add(fragment.data)
        if fragment.last:
            unit = b"".join(self._fragments)
            self._fragments.clear()
            self._take_unit(unit)
        self._bound()

    def _take_unit(self, unit: bytes) -> None:
        if unit and not self._too_long:
            self._units.add(unit)
            self._has_frame |= self._format.is_frame(unit)
            self._bound()

    def _bound(self) -> None:
        if self._units.size + self._fragments.size > MAX_BYTES:
            self._units.clear()
            self._fragments.clear()
            self._too_long = True


def payload_of(packet: bytes) -> bytes:
    """What follows the header of an RTP packet with its sources and extension, without padding (RFC 3550, 5.1)."""
    first = packet[0]
    start = _HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = len(packet) - (packet[-1] if first & 0x20 else 0)
    return packet[start:end]
