"""H.264 in RTP (RFC 6184, packetisation mode 1) and its description in SDP (RFC 8866). No I/O."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from stream_client.rtsp.rtp import MAX_PAYLOAD, RtpStream

CLOCK_RATE = 90_000
"""Ticks a second of RTP's timestamps for video."""
PAYLOAD_TYPE = 96

_START_CODE = re.compile(rb"\x00\x00\x01")
_SPS, _PPS, _FU_A = 7, 8, 28


def split_access_unit(data: bytes) -> list[bytes]:
    """The NAL units of an access unit in Annex B's form."""
    units = _START_CODE.split(data)[1:]
    # Zeros before a start code belong to it; a NAL unit never ends with one (H.264, 7.4.1).
    return [unit.rstrip(b"\x00") for unit in units if unit.rstrip(b"\x00")]


def annex_b(units: Iterable[bytes]) -> bytes:
    """NAL units in Annex B's form."""
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


def parameter_sets(units: Iterable[bytes]) -> tuple[bytes, bytes] | None:
    """The sequence and picture parameter sets among ``units``, or ``None``."""
    found = {unit[0] & 0x1F: unit for unit in units}
    return (found[_SPS], found[_PPS]) if _SPS in found and _PPS in found else None


def session_description(
    sets: tuple[bytes, bytes], title: str, frame_rate: Fraction | None = None, other: Sequence[str] = ()
) -> str:
    """SDP of an H.264 track named ``streamid=0``; ``frame_rate``: its nominal rate, in frames a second.

    ``other`` are the lines of another track.
    """
    sps, pps = sets
    sprop = ",".join(base64.b64encode(unit).decode() for unit in (sps, pps))
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        f"s={title}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_RATE}",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1; sprop-parameter-sets={sprop}; "
        f"profile-level-id={sps[1:4].hex().upper()}",
        *([] if frame_rate is None else [f"a=framerate:{float(frame_rate):.6g}"]),
        "a=control:streamid=0",
        *other,
    ]
    return "\r\n".join([*lines, ""])


class RtpPacketiser:
    """Makes RTP packets of access units, and sender reports that tie RTP's time to the wall clock."""

    def __init__(self) -> None:
        self._stream = RtpStream(PAYLOAD_TYPE)

    def packets(self, units: Sequence[bytes], time: int) -> Iterator[bytes]:
        """The packets of an access unit whose presentation time is ``time`` in ticks of :data:`CLOCK_RATE`."""
        payloads = [payload for unit in units for payload in _payloads(unit)]
        for number, payload in enumerate(payloads, start=1):
            yield self._stream.packet(payload, time, marker=number == len(payloads))

    def sender_report(self, time: int, wall_clock: float) -> bytes:
        """An RTCP sender report: ``time`` in ticks was at ``wall_clock``, seconds since 1970."""
        return self._stream.sender_report(time, wall_clock)


def _payloads(unit: bytes) -> Iterator[bytes]:
    """A NAL unit as it is, or in fragments (FU-A) where it is too long."""
    if len(unit) <= MAX_PAYLOAD:
        yield unit
        return
    indicator, kind = unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F
    step = MAX_PAYLOAD - 2
    for start in range(1, len(unit), step):
        first, last = start == 1, start + step >= len(unit)
        yield bytes([indicator, first << 7 | last << 6 | kind]) + unit[start : start + step]
