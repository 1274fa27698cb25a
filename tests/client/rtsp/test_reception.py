"""What a receiver reports, with numbers alone."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.reception import Reception


def packet(sequence: int, timestamp: int = 0, source: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, source)


def block(report: bytes) -> tuple[int, int, int, int, int, int, int]:
    """Source, fraction lost, packets lost, highest number, jitter, last report, delay since then."""
    source, lost, highest, jitter, last, delay = struct.unpack_from("!IIIIII", report, 8)
    total = lost & 0xFFFFFF
    return source, lost >> 24, total - (1 << 24) if total >> 23 else total, highest, jitter, last, delay


def test_nothing_is_reported_before_the_first_packet() -> None:
    assert Reception(90_000).report(1.0) == b""


@given(st.integers(0, 0xFFFF), st.sets(st.integers(1, 298), max_size=200))
def test_losses_are_counted_over_the_end_of_the_numbers(first: int, lost: set[int]) -> None:
    reception = Reception(90_000)
    for number in range(300):
        if number not in lost:
            reception.take(packet(first + number, 3000 * number), number / 30)
    source, fraction, total, highest, jitter, _, _ = block(reception.report(10.0))
    assert (source, total, highest) == (7, len(lost), first + 299)
    assert fraction == len(lost) * 256 // 300
    assert jitter <= 1  # every packet was on time
    assert block(reception.report(11.0))[1] == 0


def test_jitter_is_that_of_the_arrivals() -> None:
    reception = Reception(90_000)
    for number in range(2000):
        reception.take(packet(number, 3000 * number), number / 30 + 0.01 * (number % 2))
    assert 890 < block(reception.report(0.0))[4] <= 900  # 10 ms at 90 kHz


def test_the_last_report_of_the_sender_is_named_with_its_age() -> None:
    reception = Reception(90_000)
    reception.take(packet(1), 0.0)
    sender = struct.pack("!BBHIIIIII", 0x80, 200, 6, 7, 0x11112222, 0x33334444, 0, 0, 0)
    reception.take_report(b"\x80\xc9\x00\x01" + bytes(4) + sender, 5.0)
    assert block(reception.report(7.5))[5:] == (0x22223333, round(2.5 * 65_536))


def test_a_report_is_a_compound_packet_with_a_name() -> None:
    reception = Reception(90_000)
    reception.take(packet(1), 0.0)
    report = reception.report(0.0)
    assert (report[1], report[33]) == (201, 202)
    assert len(report) == 32 + 4 + 4 * int.from_bytes(report[34:36], "big")


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_nothing_that_comes_breaks_the_counts(packets: list[bytes]) -> None:
    reception = Reception(90_000)
    for number, data in enumerate(packets):
        reception.take(data, float(number))
        reception.take_report(data, float(number))
    reception.report(99.0)
