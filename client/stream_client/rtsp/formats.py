"""How RTP carries NAL units: H.264 (RFC 6184, modes 0 and 1) and H.265 (RFC 7798 without decoding order numbers)."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a NAL unit. The first one's ``data`` begins with the unit's own header."""

    first: bool
    last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """A codec's format. ``codec`` is FFmpeg's name.

    The type of a NAL unit is ``mask`` of its first byte, shifted to the right by ``shift`` bits. The types ``frames``
    hold parts of a frame, ``aggregate`` several units, ``fragment`` a part of one.
    """

    codec: str
    header_bytes: int
    shift: int
    mask: int
    frames: range
    aggregate: int
    fragment: int

    def kind(self, unit: bytes) -> int:
        """The type of a NAL unit or payload."""
        return unit[0] >> self.shift & self.mask

    def is_frame(self, unit: bytes) -> bool:
        """Whether a NAL unit holds a part of a frame."""
        return self.kind(unit) in self.frames

    def units(self, payload: bytes) -> Iterator[bytes]:
        """The whole NAL units in a payload; none for a fragment, and for types that are not known."""
        if len(payload) < self.header_bytes:
            return
        kind = self.kind(payload)
        if kind < self.aggregate:
            yield payload
        elif kind == self.aggregate:
            position = self.header_bytes
            while position + 2 < len(payload):
                end = position + 2 + int.from_bytes(payload[position : position + 2], "big")
                yield payload[position + 2 : end]
                position = end

    def as_fragment(self, payload: bytes) -> Fragment | None:
        """The part of a NAL unit in a payload, if there is one."""
        start = self.header_bytes + 1
        if len(payload) <= start or self.kind(payload) != self.fragment:
            return None
        flags = payload[self.header_bytes]
        first, last = bool(flags & 0x80), bool(flags & 0x40)
        if not first:
            return Fragment(first, last, payload[start:])
        type_bits = self.mask << self.shift
        head = payload[0] & ~type_bits & 0xFF | (flags & self.mask) << self.shift
        return Fragment(first, last, bytes([head]) + payload[1 : self.header_bytes] + payload[start:])


H264 = PayloadFormat("h264", 1, 0, 0x1F, range(1, 6), aggregate=24, fragment=28)
H265 = PayloadFormat("hevc", 2, 1, 0x3F, range(32), aggregate=48, fragment=49)
