"""NAL units in payloads of H.264 and H.265."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.depacketizer import Depacketizer
from stream_client.rtsp.formats import H264, H265, PayloadFormat

UNITS = {"h264": b"\x65\x88\x84\x00\x10rest of it", "hevc": b"\x26\x01\xaf\x09\x40rest of it"}
PARTS = {
    "h264": [b"\x7c\x85", b"\x7c\x05", b"\x7c\x45"],
    "hevc": [b"\x62\x01\x93", b"\x62\x01\x13", b"\x62\x01\x53"],
}


@pytest.mark.parametrize("payload_format", [H264, H265])
def test_fragments_make_the_unit(payload_format: PayloadFormat) -> None:
    unit, heads = UNITS[payload_format.codec], PARTS[payload_format.codec]
    body = unit[payload_format.header_bytes :]
    pieces = [body[:3], body[3:6], body[6:]]
    found = [payload_format.as_fragment(head + piece) for head, piece in zip(heads, pieces, strict=True)]
    assert [(part.first, part.last) for part in found if part] == [(True, False), (False, False), (False, True)]
    assert b"".join(part.data for part in found if part) == unit
    assert not any(list(payload_format.units(head + piece)) for head, piece in zip(heads, pieces, strict=True))


@pytest.mark.parametrize("payload_format", [H264, H265])
def test_several_units_come_in_one_payload(payload_format: PayloadFormat) -> None:
    unit = UNITS[payload_format.codec]
    head = b"\x18" if payload_format is H264 else b"\x60\x01"
    payload = head + 2 * (len(unit).to_bytes(2, "big") + unit)
    assert list(payload_format.units(payload)) == [unit, unit]
    assert list(payload_format.units(unit)) == [unit]
    assert payload_format.is_frame(unit)


@given(st.sampled_from([H264, H265]), st.lists(st.binary(max_size=60), max_size=20))
def test_nothing_that_comes_breaks_the_depacketizer(payload_format: PayloadFormat, payloads: list[bytes]) -> None:
    depacketizer = Depacketizer(96, payload_format)
    for number, payload in enumerate(payloads):
        depacketizer.take(b"\x80\x60" + number.to_bytes(2, "big") + bytes(8) + payload)
