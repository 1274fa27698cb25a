"""Encoded frames as a tensor of BYTES, in the two forms that a graph takes at :data:`ENCODED_FRAME`.

- ``[1]``: a JPEG.
- ``[3 + 2n]``: ``h264``, the number of the picture that is wanted, how many pictures a decoder holds back, and ``n``
  access units of H.264 in Annex B's form, each after its own number. Numbers are decimal texts. They count access units
  in decoding order and may have gaps.

A decoder gives pictures later than it takes access units, where a video has B-frames. So a request carries what has to
be decoded before its picture is there: several access units at the start of a stream, none at its end. One without data
is the end of the stream: all pictures come out, and a key frame begins another stream.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ENCODED_FRAME = "encoded_frame"
"""The input of a graph that takes encoded frames."""
JPEG: Literal["jpeg"] = "jpeg"
H264: Literal["h264"] = "h264"
Codec = Literal["jpeg", "h264"]
MOST_UNITS = 4096
"""Access units of a request: two minutes at 30 frames a second."""
MOST_HELD = 16
"""Pictures that H.264 can hold back."""
MOST_ELEMENTS = 3 + 2 * MOST_UNITS

_NUMBER = re.compile(rb"[0-9]{1,18}")
_START_CODE = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_TYPE, _REFERENCE = 0x1F, 0x60
_SLICES, _KEY = range(1, 6), 5


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """The data of one encoded picture, or none at the end of a stream. ``number`` counts them in decoding order."""

    number: int
    data: bytes

    @property
    def is_key(self) -> bool:
        """Whether decoding can begin here: at an IDR picture of H.264."""
        return self._slice & _TYPE == _KEY

    @property
    def is_reference(self) -> bool:
        """Whether other pictures of H.264 may be made from this one."""
        return bool(self._slice & _REFERENCE)

    @property
    def _slice(self) -> int:
        """The first byte of the first slice; 0 where there is none (H.264, 7.3.1)."""
        headers = (match[1][0] for match in _START_CODE.finditer(self.data))
        return next((header for header in headers if header & _TYPE in _SLICES), 0)


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """What has to be decoded for a frame. ``wanted`` is the number of the access unit with its picture.

    ``held`` is how many pictures a decoder holds back, for it to know from the start: not every stream says it.
    """

    codec: Codec
    units: tuple[AccessUnit, ...]
    wanted: int = 0
    held: int = 0


def jpeg_frame(data: bytes) -> EncodedFrame:
    """A frame that is a JPEG."""
    return EncodedFrame(JPEG, (AccessUnit(0, data),))


def to_elements(frame: EncodedFrame) -> list[bytes]:
    """The elements of the tensor."""
    if frame.codec == JPEG:
        return [frame.units[0].data]
    units = [part for unit in frame.units for part in (b"%d" % unit.number, unit.data)]
    return [frame.codec.encode(), b"%d" % frame.wanted, b"%d" % frame.held, *units]


def from_elements(elements: Sequence[bytes]) -> EncodedFrame:
    """The frame in a tensor; raises :class:`ValueError` for anything else."""
    if len(elements) == 1:
        return jpeg_frame(elements[0])
    if len(elements) < 3 or len(elements) % 2 == 0 or elements[0] != H264.encode():
        codec = elements[0][:20] if elements else b""
        raise ValueError(f"{len(elements)} elements that begin with {codec!r} are no encoded frame")
    if len(elements) > MOST_ELEMENTS:
        raise ValueError(f"{(len(elements) - 3) // 2} access units: {MOST_UNITS} at most")
    wanted, held, *numbers = (_number(text) for text in (*elements[1:3], *elements[3::2]))
    if held > MOST_HELD:
        raise ValueError(f"{held} pictures are not held back: {MOST_HELD} at most")
    units = tuple(AccessUnit(number, data) for number, data in zip(numbers, elements[4::2], strict=True))
    return EncodedFrame(H264, units, wanted, held)


def _number(text: bytes) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is not the number of an access unit")
    return int(text)
