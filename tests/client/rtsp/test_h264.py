"""RTP packets of H.264, taken apart again as RFC 6184 says."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.h264 import (
    RtpPacketiser,
    parameter_sets,
    session_description,
    split_access_unit,
)
from stream_client.rtsp.rtp import MAX_PAYLOAD

UNITS = st.lists(
    st.builds(lambda kind, rest: bytes([0x60 | kind]) + rest + b"\x80", st.integers(1, 12), st.binary(max_size=4000)),
    min_size=1,
    max_size=4,
)


def reassemble(payloads: list[bytes]) -> list[bytes]:
    units: list[bytes] = []
    for payload in payloads:
        if payload[0] & 0x1F != 28:
            units.append(payload)
        elif payload[1] & 0x80:
            units.append(bytes([payload[0] & 0xE0 | payload[1] & 0x1F]) + payload[2:])
        else:
            units[-1] += payload[2:]
    return units


@given(UNITS, st.integers(0, 2**40))
def test_packets_carry_every_unit_whole(units: list[bytes], time: int) -> None:
    packets = list(RtpPacketiser().packets(units, time))
    headers = [struct.unpack("!BBHII", packet[:12]) for packet in packets]
    assert reassemble([packet[12:] for packet in packets]) == units
    assert all(len(packet) <= 12 + MAX_PAYLOAD for packet in packets)
    assert [header[1] >> 7 for header in headers] == [0] * (len(packets) - 1) + [1]
    assert len({header[3] for header in headers}) == len({header[4] for header in headers}) == 1
    assert [(header[2] - headers[0][2]) % 65_536 for header in headers] == list(range(len(packets)))


def test_time_and_sequence_go_on_from_unit_to_unit() -> None:
    packetiser = RtpPacketiser()
    first, second = (struct.unpack("!BBHII", next(packetiser.packets([b"\x65x"], time))[:12]) for time in (0, 3000))
    assert (second[3] - first[3]) % 2**32 == 3000
    assert (second[2] - first[2]) % 2**16 == 1


def test_a_sender_report_ties_the_stream_to_the_wall_clock() -> None:
    packetiser = RtpPacketiser()
    packet = next(packetiser.packets([b"\x65x"], 90_000))
    report = struct.unpack("!BBHIQIII", packetiser.sender_report(90_000, 1_700_000_000.5))
    assert report[1:3] == (200, 6)
    assert report[4] == (1_700_000_000 + 2_208_988_800) << 32 | 1 << 31
    assert report[5] == struct.unpack("!BBHII", packet[:12])[3]
    assert report[6:] == (1, 2)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.booleans())
def test_start_codes_of_both_lengths_are_found(bodies: list[bytes], long: bool) -> None:
    units = [b"\x65" + body.replace(b"\x00", b"\x01") for body in bodies]
    code = b"\x00\x00\x00\x01" if long else b"\x00\x00\x01"
    assert split_access_unit(b"".join(code + unit for unit in units)) == units


def test_the_description_has_what_a_viewer_needs() -> None:
    sets = parameter_sets([b"\x67\x64\x00\x1f", b"\x68\xee", b"\x65x"])
    assert sets == (b"\x67\x64\x00\x1f", b"\x68\xee")
    text = session_description(sets, "title")
    assert "a=rtpmap:96 H264/90000\r\n" in text
    assert "sprop-parameter-sets=Z2QAHw==,aO4=; profile-level-id=64001F\r\n" in text


@pytest.mark.parametrize("units", [[], [b"\x65x"], [b"\x67x"]])
def test_without_parameter_sets_there_are_none(units: list[bytes]) -> None:
    assert parameter_sets(units) is None
