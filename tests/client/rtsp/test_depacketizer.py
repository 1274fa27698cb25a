"""Access units out of RTP packets: whole, in time, and from servers with faults."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.depacketizer import Depacketizer, PlayedUnit
from stream_client.rtsp.h264 import PAYLOAD_TYPE, RtpPacketiser, split_access_unit

PICTURES = st.lists(
    st.builds(
        lambda kinds, rest: [bytes([0x60 | kind]) + rest + b"\x80" for kind in kinds],
        st.lists(st.integers(6, 12), max_size=2).map(lambda before: [*before, 5]),
        # No zeros: three bytes of them would be a start code, which encoders never write within a unit.
        st.binary(max_size=4000).map(lambda data: data.replace(b"\x00", b"\x01")),
    ),
    min_size=1,
    max_size=4,
)


def packet(payload: bytes, *, sequence: int, time: int = 0, marker: bool = False, kind: int = PAYLOAD_TYPE) -> bytes:
    return struct.pack("!BBHII", 0x80, marker << 7 | kind, sequence & 0xFFFF, time & 0xFFFF_FFFF, 1) + payload


def taken(packets: list[bytes]) -> list[PlayedUnit]:
    depacketizer = Depacketizer(PAYLOAD_TYPE)
    return [unit for data in packets for unit in depacketizer.take(data)]


def units(*data: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in data)


@given(PICTURES)
def test_every_picture_is_there_with_its_own_last_packet(pictures: list[list[bytes]]) -> None:
    packetiser, depacketizer = RtpPacketiser(), Depacketizer(PAYLOAD_TYPE)
    for number, picture in enumerate(pictures):
        *before, last = packetiser.packets(picture, 3000 * number)
        assert not any(depacketizer.take(data) for data in before)
        (unit,) = depacketizer.take(last)
        assert split_access_unit(unit.data) == picture
        assert unit.time == 3000 * number


@pytest.mark.parametrize(
    "payload", [b"\x41" + bytes(60_000), b"\x7c\x05" + bytes(60_000), b"\x18" + b"\0\1\x41" * 20_000]
)
def test_a_picture_without_end_is_left_out_and_takes_bounded_memory(
    payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units, fragments, and many units in a packet."""
    bound = 1 << 20
    monkeypatch.setattr("stream_client.rtsp.depacketizer.MAX_BYTES", bound)
    depacketizer = Depacketizer(PAYLOAD_TYPE)
    depacketizer.take(packet(b"\x7c\x85" + bytes(60_000), sequence=0, time=5))
    tracemalloc.start()
    try:
        for sequence in range(1, 1000):
            assert not depacketizer.take(packet(payload, sequence=sequence, time=5))
        assert tracemalloc.get_traced_memory()[1] < 2 * bound
    finally:
        tracemalloc.stop()
    assert not depacketizer.take(packet(b"\x41a", sequence=1000, time=5, marker=True))
    (unit,) = depacketizer.take(packet(b"\x41b", sequence=1001, time=6, marker=True))
    assert unit.data == units(b"\x41b")


def test_without_markers_a_picture_ends_with_the_next_ones_time() -> None:
    packets = [packet(b"\x65a", sequence=0), packet(b"\x65b", sequence=1), packet(b"\x41c", sequence=2, time=3000)]
    assert taken(packets) == [PlayedUnit(units(b"\x65a", b"\x65b"), 0)]


def test_a_server_that_marks_every_slice_is_believed_once() -> None:
    packets = [
        packet(b"\x41" + bytes([48 + number]), sequence=number, time=3000 * (number // 2), marker=True)
        for number in range(7)
    ]
    assert [unit.data for unit in taken(packets)] == [
        units(b"\x410"),
        units(b"\x411"),
        units(b"\x412", b"\x413"),
        units(b"\x414", b"\x415"),
    ]


def test_parameter_sets_go_with_the_picture_that_follows() -> None:
    packets = [
        packet(b"\x67s", sequence=0, marker=True),
        packet(b"\x68p", sequence=1, marker=True),
        packet(b"\x65i", sequence=2, time=3000, marker=True),
    ]
    assert taken(packets) == [PlayedUnit(units(b"\x67s", b"\x68p", b"\x65i"), 3000)]


def test_several_units_in_a_packet_are_taken_apart() -> None:
    payload = b"\x18" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (b"\x67s", b"\x68pp", b"\x65iii"))
    assert taken([packet(payload, sequence=0, marker=True)])[0].data == units(b"\x67s", b"\x68pp", b"\x65iii")


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_unit_with_a_lost_fragment_is_left_out_and_the_rest_stays(lost: int) -> None:
    fragments = [b"\x7c\x85a", b"\x7c\x05b", b"\x7c\x45c"]
    packets = [packet(payload, sequence=number) for number, payload in enumerate(fragments)]
    packets.append(packet(b"\x65whole", sequence=3, marker=True))
    assert taken(packets)[0].data == units(b"\x65abc", b"\x65whole")
    del packets[lost]
    assert taken(packets)[0].data == units(b"\x65whole")


def test_the_packet_that_ends_a_picture_may_be_lost() -> None:
    packets = [packet(b"\x65a", sequence=0), packet(b"\x41b", sequence=2, time=3000, marker=True)]
    assert [(unit.data, unit.time) for unit in taken(packets)] == [(units(b"\x65a"), 0), (units(b"\x41b"), 3000)]


def test_times_go_on_where_the_servers_counter_begins_anew_and_back_for_b_frames() -> None:
    start = 2**32 - 4000
    steps = (0, 9000, 3000, 6000, 12_000)
    packets = [packet(b"\x41x", sequence=number, time=start + step, marker=True) for number, step in enumerate(steps)]
    assert [unit.time for unit in taken(packets)] == list(steps)


def test_what_surrounds_the_payload_is_left_out() -> None:
    head = struct.pack("!BBHII", 0xB1, 0x80 | PAYLOAD_TYPE, 0, 0, 1)  # padding, an extension, one more source
    source, extension, padding = b"\x00\x00\x00\x02", b"\xbe\xde\x00\x01abcd", b"\x00\x00\x03"
    assert taken([head + source + extension + b"\x65i" + padding])[0].data == units(b"\x65i")


def test_packets_of_another_kind_are_not_looked_at() -> None:
    assert taken([packet(b"\x65i", sequence=0, marker=True, kind=97), b"", b"short"]) == []


@given(st.lists(st.binary(max_size=40), max_size=8), st.booleans())
def test_nothing_that_a_server_sends_is_an_error(payloads: list[bytes], raw: bool) -> None:
    taken([payload if raw else packet(payload, sequence=number) for number, payload in enumerate(payloads)])
