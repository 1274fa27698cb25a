"""Access units of H.264 that are passed on as they are: which of them each frame needs."""

import heapq
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import av
import av.bitstream
import av.error

from kserve_wire.encoded import H264, MOST_HELD, AccessUnit, EncodedFrame
from kserve_wire.pictures import MAX_PIXELS
from kserve_wire.pictures.decoder import new_decoder

_SEQUENCE_SET = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]")


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame, with what has to be decoded until its picture is there. ``stamp`` is that of its access unit."""

    encoded: EncodedFrame
    stamp: int
    damaged: bool


class _Waiting(NamedTuple):
    """An access unit whose frame has not had its turn."""

    stamp: int
    number: int
    damaged: bool


class Passing:
    """Brings access units from decoding order to frames in presentation order. A stream begins at its first key frame.

    A decoder holds pictures back where the stream has B-frames. So some access units go ahead: as many as a decoder of
    our own takes until its first picture, see :attr:`picture`. After that nothing is decoded. ``held`` is how many the
    container says, where the stream may not.
    """

    def __init__(self, held: int = 0) -> None:
        self.picture: av.VideoFrame | None = None
        """The first picture, once it can be decoded."""
        self._decoder: av.VideoCodecContext | None = new_decoder(MAX_PIXELS, held)
        self._number = 0
        self._ahead = 0
        self._units: list[AccessUnit] = []
        self._waiting: list[_Waiting] = []
        self._damaged = False

    def take(self, data: bytes, stamp: int, *, damaged: bool = False) -> Iterator[Passed]:
        """The frames that can be sent once this access unit is there; ``stamp`` is when it is shown, in ticks.

        ``data`` is in Annex B's form, with parameter sets before a key frame. Damage lasts until the next key frame.
        """
        unit = AccessUnit(self._number, data)
        if unit.is_key:
            self._damaged = damaged
        elif not self._number:
            return
        self._damaged |= damaged
        self._number += 1
        self._units.append(unit)
        heapq.heappush(self._waiting, _Waiting(stamp, unit.number, self._damaged))
        if self._decoder is not None and not self._decoded(self._decoder, unit):
            self._ahead += 1
            return
        while len(self._waiting) > self._ahead:
            yield self._next()

    def take_packet(self, packet: "av.Packet[Any]", unit_of: "AnnexB") -> Iterator[Passed]:
        """The frames that can be sent once a packet of a container is there. It is used up; an empty one is the end."""
        stamp, damaged = packet.pts, packet.is_corrupt
        if not packet.size:
            return self.end()
        data = unit_of(packet)
        return self.take(data, stamp, damaged=damaged) if data and stamp is not None else iter(())

    def end(self) -> Iterator[Passed]:
        """The frames that are left at the end of the stream."""
        if self._decoder is not None:
            self._find_picture(self._decoder, None)
        if self._waiting:
            self._units.append(AccessUnit(self._number, b""))
        while self._waiting and self.picture is not None:
            yield self._next()

    def _decoded(self, decoder: av.VideoCodecContext, unit: AccessUnit) -> bool:
        """Whether the first picture is there."""
        self._find_picture(decoder, av.Packet(unit.data))
        if self.picture is None:
            return False
        self._decoder = None
        return True

    def _find_picture(self, decoder: av.VideoCodecContext, packet: "av.Packet[Any] | None") -> None:
        with suppress(av.error.FFmpegError):
            self.picture = next(iter(decoder.decode(packet)), None)

    def _next(self) -> Passed:
        waiting = heapq.heappop(self._waiting)
        units, self._units = tuple(self._units), []
        return Passed(EncodedFrame(H264, units, waiting.number, self._ahead), waiting.stamp, waiting.damaged)


class AnnexB:
    """Makes access units in Annex B's form of a container's packets, with the parameter sets before each key frame."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._filter = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)

    def __call__(self, packet: "av.Packet[Any]") -> bytes:
        """The access unit in a packet, which is used up; empty where there is none, or it is damaged."""
        with suppress(av.error.FFmpegError, ValueError):
            return b"".join(bytes(part) for part in self._filter.filter(packet))
        return b""


def held_by(stream: av.VideoStream) -> int:
    """How many pictures a decoder of the stream holds back, as far as its container was looked at."""
    return min(getattr(stream.codec_context, "reorder_depth", 0), MOST_HELD)


def with_parameter_sets(data: bytes, parameter_sets: bytes) -> bytes:
    """An access unit; a key frame that has no parameter sets of its own gets these."""
    missing = parameter_sets and AccessUnit(0, data).is_key and not _SEQUENCE_SET.search(data)
    return parameter_sets + data if missing else data
