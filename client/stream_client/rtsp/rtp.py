"""One stream of RTP as its sender makes it (RFC 3550). No I/O."""

import secrets
import struct

MAX_PAYLOAD = 1400
"""Bytes: below an Ethernet frame, for servers that send packets on by UDP."""
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970


class RtpStream:
    """Numbers packets, and counts them for sender reports. Times are in ticks of the stream's own clock."""

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type
        self._source = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._first_timestamp = secrets.randbits(32)
        self._packets = 0
        self._octets = 0

    def packet(self, payload: bytes, time: int, *, marker: bool) -> bytes:
        """The next packet. ``marker``: what it means is the payload's matter."""
        kind = marker << 7 | self._payload_type
        header = struct.pack("!BBHII", 0x80, kind, self._sequence, self._timestamp(time), self._source)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._packets += 1
        self._octets += len(payload)
        return header + payload

    def sender_report(self, time: int, wall_clock: float) -> bytes:
        """An RTCP sender report (RFC 3550, 6.4.1): ``time`` in ticks was at ``wall_clock``, seconds since 1970."""
        seconds = wall_clock + _NTP_EPOCH
        ntp = (int(seconds) & 0xFFFFFFFF) << 32 | int(seconds % 1.0 * 2**32)
        counts = (self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF)
        return struct.pack("!BBHIQIII", 0x80, 200, 6, self._source, ntp, self._timestamp(time), *counts)

    def _timestamp(self, time: int) -> int:
        return (self._first_timestamp + time) & 0xFFFFFFFF
