"""What senders say in RTCP, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.h264 import RtpPacketiser
from stream_client.rtsp.reports import SenderReport, says_bye, sender_report

BYE = bytes([0x81, 203, 0, 1]) + bytes(4)
DESCRIPTION = bytes([0x81, 202, 0, 1]) + bytes(4)


def test_a_report_of_our_own_publisher_is_read_back() -> None:
    report = sender_report(RtpPacketiser().sender_report(90_000, 1_700_000_000.25))
    assert report is not None
    assert report.time == pytest.approx(1_700_000_000_250_000, abs=2)


def test_parts_of_a_compound_packet_are_told_apart() -> None:
    own = RtpPacketiser().sender_report(0, 1_700_000_000.0)
    assert sender_report(DESCRIPTION + own + BYE) == sender_report(own)
    assert says_bye(own + BYE)
    assert not says_bye(own + DESCRIPTION)


def test_a_sender_without_a_clock_says_nothing() -> None:
    header = bytes([0x80, 200, 0, 6]) + bytes(4)
    assert sender_report(header + bytes(20)) is None
    assert sender_report(header) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_taken(data: bytes) -> None:
    assert sender_report(data) is None or isinstance(sender_report(data), SenderReport)
    assert says_bye(data) in (True, False)
