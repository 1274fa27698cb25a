"""The tensor of an encoded frame, and what access units of H.264 are."""

import pytest

from kserve_wire.encoded import (
    MOST_UNITS,
    AccessUnit,
    EncodedFrame,
    from_elements,
    jpeg_frame,
    to_elements,
)

SPS, IDR, P, B = b"\x00\x00\x00\x01\x67abc", b"\x00\x00\x01\x65abc", b"\x00\x00\x01\x41abc", b"\x00\x00\x01\x01abc"


@pytest.mark.parametrize(
    "frame",
    [
        jpeg_frame(b"\xff\xd8..."),
        EncodedFrame("h264", (AccessUnit(3, SPS + IDR), AccessUnit(4, b"")), 3, 2),
        EncodedFrame("h264", (), 123_456_789_012_345_678),
    ],
)
def test_a_frame_comes_back_from_its_elements(frame: EncodedFrame) -> None:
    assert from_elements(to_elements(frame)) == frame


@pytest.mark.parametrize(
    ("elements", "text"),
    [
        ([], "0 elements"),
        ([b"h264", b"1"], "2 elements"),
        ([b"hevc", b"1", b"0"], "begin with b'hevc'"),
        ([b"h264", b"-1", b"0"], "b'-1' is not the number"),
        ([b"h264", b"1", b"0", b"x" * 1000, b""], "is not the number"),
        ([b"h264", b"1" * 19, b"0"], "is not the number"),
        ([b"h264", b"1", b"17"], "17 pictures are not held back"),
        ([b"h264", b"1", b"0", *[b"1", b""] * (MOST_UNITS + 1)], "4096 at most"),
    ],
)
def test_other_elements_are_refused(elements: list[bytes], text: str) -> None:
    with pytest.raises(ValueError, match=text) as refused:
        from_elements(elements)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("data", "is_key", "is_reference"),
    [(SPS + IDR, True, True), (P, False, True), (B, False, False), (SPS, False, False), (b"", False, False)],
)
def test_the_first_slice_says_what_an_access_unit_is(data: bytes, is_key: bool, is_reference: bool) -> None:
    unit = AccessUnit(0, data)
    assert (unit.is_key, unit.is_reference) == (is_key, is_reference)
