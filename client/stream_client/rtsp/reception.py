"""What a receiver tells the sender about its stream (RFC 3550, 6.4.2 and appendix A). No I/O; time is an argument."""

import secrets
import struct

from stream_client.rtsp.reports import SENDER_REPORT, parts

_RECEIVER_REPORT, _DESCRIPTION = 201, 202
_NAME_ITEM = 1
_MOST_LOST = 0x7FFFFF


class Reception:
    """Counts the packets of one stream; ``clock_rate`` is in ticks a second. Another source begins new counts."""

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._own_source = secrets.randbits(32)
        self._source: int | None = None
        self._begin(0)

    def _begin(self, sequence: int) -> None:
        self._first = self._highest = sequence  # not modulo 2^16
        self._received = 0
        self._expected_before = self._received_before = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._report_ntp = 0
        self._report_arrived = 0.0

    def take(self, packet: bytes, now: float) -> None:
        """Count an RTP packet that has just come."""
        if len(packet) < 12:
            return
        sequence, timestamp, source = struct.unpack_from("!HII", packet, 2)
        if source != self._source:
            self._source = source
            self._begin(sequence)
        ahead = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        self._highest = max(self._highest, self._highest + ahead)
        self._received += 1
        transit = now * self._clock_rate - timestamp
        if self._transit is not None:
            change = abs((transit - self._transit + 2**31) % 2**32 - 2**31)
            self._jitter += (change - self._jitter) / 16
        self._transit = transit

    def take_report(self, data: bytes, now: float) -> None:
        """Remember the sender report in a compound RTCP packet, if there is one."""
        for kind, body in parts(data):
            if kind == SENDER_REPORT and len(body) >= 12:
                self._report_ntp = int.from_bytes(body[6:10], "big")  # the middle of the 64 bits
                self._report_arrived = now

    def report(self, now: float) -> bytes:
        """A receiver report, and the description that has to follow it; empty before the first packet."""
        if self._source is None:
            return b""
        expected = self._highest - self._first + 1
        lost = max(-_MOST_LOST, min(_MOST_LOST, expected - self._received))
        new, got = expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        fraction = min(255, max(0, (new - got) * 256 // new)) if new > 0 else 0
        since = round((now - self._report_arrived) * 65_536) & 0xFFFFFFFF if self._report_ntp else 0
        block = struct.pack(
            "!IIIIII",
            self._source,
            fraction << 24 | lost & 0xFFFFFF,
            self._highest & 0xFFFFFFFF,
            round(self._jitter) & 0xFFFFFFFF,
            self._report_ntp,
            since,
        )
        report = struct.pack("!BBHI", 0x81, _RECEIVER_REPORT, 7, self._own_source) + block
        name = b"client"  # RFC 3550 wants a name, and no report should tell who we are
        item = bytes([_NAME_ITEM, len(name)]) + name
        item += bytes(4 - len(item) % 4)
        return report + struct.pack("!BBHI", 0x81, _DESCRIPTION, 1 + len(item) // 4, self._own_source) + item
