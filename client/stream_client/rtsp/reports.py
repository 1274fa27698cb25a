"""What a sender says about its stream in RTCP (RFC 3550, 6). No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

SENDER_REPORT, _BYE = 200, 203
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP begins to count, to 1970."""
_SENDER_INFO_BYTES = 20


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The sender's clock, in µs since 1970, at an RTP timestamp."""

    time: int
    timestamp: int

    def at(self, ticks: int, clock_rate: int) -> int:
        """The sender's clock that many ticks later."""
        return self.time + round(ticks * 1_000_000 / clock_rate)


def sender_report(compound: bytes) -> SenderReport | None:
    """The sender report in a compound packet. Senders without a clock write a time of 0."""
    for kind, body in parts(compound):
        if kind == SENDER_REPORT and len(body) >= _SENDER_INFO_BYTES + 4:
            seconds, fraction, timestamp = (int.from_bytes(body[at : at + 4], "big") for at in (4, 8, 12))
            if seconds > _NTP_EPOCH:
                return SenderReport((seconds - _NTP_EPOCH) * 1_000_000 + (fraction * 1_000_000 >> 32), timestamp)
    return None


def says_bye(compound: bytes) -> bool:
    """Whether the sender ends its stream."""
    return any(kind == _BYE for kind, _ in parts(compound))


def parts(compound: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each packet in a compound one."""
    position = 0
    while position + 4 <= len(compound):
        end = position + 4 + 4 * int.from_bytes(compound[position + 2 : position + 4], "big")
        yield compound[position + 1], compound[position + 4 : end]
        position = end
