"""Headers of HTTP/2, with the examples of RFC 7541, appendix C."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.transport.http2 import hpack


def test_what_is_written_can_be_read() -> None:
    headers = {":path": "/inference/" + "x" * 300, "te": "trailers", "empty": ""}
    assert hpack.decode(hpack.encode(headers.items())) == headers


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", {"custom-key": "custom-header"}),  # C.2.1
        ("100870617373776f726406736563726574", {"password": "secret"}),  # C.2.3
        ("88", {":status": "200"}),
        ("4803333032", {":status": "302"}),  # C.5.1
        ("488264 02".replace(" ", ""), {":status": "302"}),  # C.6.1, by Huffman's code
        ("408825a849e95ba97d7f8925a849e95bb8e8b4bf", {"custom-key": "custom-value"}),  # C.4.3
        ("3f00" + "20" + "8d", {":status": "404"}),  # after two sizes of the dynamic table
    ],
)
def test_every_form_is_read(block: str, headers: dict[str, str]) -> None:
    assert hpack.decode(bytes.fromhex(block)) == headers


def test_a_header_that_says_nothing_about_the_call_has_no_name() -> None:
    assert hpack.decode(bytes.fromhex("0f2203616263") + b"\x88") == {"": "abc", ":status": "200"}


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("80", "not in the table"),
        ("be", "not in the table"),
        ("ff", "cut off"),
        ("00", "cut off"),
        ("000161", "cut off"),
        ("0001610562", "cut off"),
        ("ffffffffffff", "too large"),
        ("0001618100", "no text"),
    ],
)
def test_what_is_no_block_is_refused(block: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        hpack.decode(bytes.fromhex(block))


@given(st.binary(max_size=200))
def test_any_bytes_are_headers_or_refused(block: bytes) -> None:
    with suppress(ValueError):
        hpack.decode(block)
