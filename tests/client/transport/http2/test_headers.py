"""Headers of HTTP/2: what is read is bounded, and what is no block is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.transport.http2.headers import HeaderCodec


def test_what_is_written_can_be_read() -> None:
    headers = {":path": "/inference/" + "x" * 300, "te": "trailers", "empty": ""}
    writer, reader = HeaderCodec(), HeaderCodec()
    for _ in range(2):
        assert reader.decode(writer.encode(headers.items())) == headers


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        ("88", {":status": "200"}),
        ("4803333032", {":status": "302"}),  # RFC 7541, C.5.1
        ("48826402", {":status": "302"}),  # C.6.1, by Huffman's code
    ],
)
def test_every_form_is_read(block: str, headers: dict[str, str]) -> None:
    assert HeaderCodec().decode(bytes.fromhex(block)) == headers


@pytest.mark.parametrize("block", ["80", "be", "ff", "000161", "0001610562", "3fe21f"])
def test_what_is_no_block_is_refused(block: str) -> None:
    with pytest.raises(ValueError, match="headers that cannot be read"):
        HeaderCodec().decode(bytes.fromhex(block))


def test_headers_are_bounded() -> None:
    large = HeaderCodec().encode([("a", "b" * HeaderCodec.MOST_BYTES)])
    with pytest.raises(ValueError, match="headers that cannot be read"):
        HeaderCodec().decode(large)


@given(st.binary(max_size=200))
def test_any_bytes_are_headers_or_refused(block: bytes) -> None:
    with suppress(ValueError):
        HeaderCodec().decode(block)
