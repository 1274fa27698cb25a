"""RTSP's text, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import RtspError
from stream_client.rtsp.messages import Packet, interleaved, parse_packet, parse_response, request_bytes

RESPONSE = (
    b"RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Basic realm=x\r\n"
    b'www-authenticate: Digest realm="x", nonce="y"\r\nContent-Length: 4\r\n\r\nbody'
)


@pytest.mark.parametrize("length", range(len(RESPONSE)))
def test_a_response_is_waited_for_until_all_of_it_is_there(length: int) -> None:
    assert parse_response(RESPONSE[:length]) is None


def test_a_response_is_parsed_with_every_challenge_and_its_length() -> None:
    parsed = parse_response(RESPONSE + b"RTSP/1.0 200 OK")
    assert parsed is not None
    response, length = parsed
    assert (response.status, response.reason, response.headers["cseq"]) == (401, "Unauthorized", "2")
    assert response.challenges == ("Basic realm=x", 'Digest realm="x", nonce="y"')
    assert (response.body, length) == (b"body", len(RESPONSE))


@given(st.binary(min_size=5).filter(lambda data: not data.startswith(b"RTSP/")))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(RtspError, match="does not speak RTSP"):
        parse_response(data)


@pytest.mark.parametrize("data", [b"RTSP/1.0\r\n\r\n", b"RTSP/1.0 ok\r\n\r\n", b"RTSP/" + b"x" * 70_000])
def test_malformed_responses_are_refused(data: bytes) -> None:
    with pytest.raises(RtspError):
        parse_response(data)


def test_a_lying_length_is_refused() -> None:
    with pytest.raises(RtspError, match="length"):
        parse_response(b"RTSP/1.0 200 OK\r\nContent-Length: -3\r\n\r\n")


@pytest.mark.parametrize("length", [b"1048577", b"9999999999", b"9" * 5000])
def test_a_long_body_is_refused_before_it_comes(length: bytes) -> None:
    with pytest.raises(RtspError, match="length"):
        parse_response(b"RTSP/1.0 200 OK\r\nContent-Length: " + length + b"\r\n\r\n")


def test_a_status_of_too_many_digits_is_refused() -> None:
    with pytest.raises(RtspError, match="does not speak RTSP"):
        parse_response(b"RTSP/1.0 " + b"2" * 5000 + b" OK\r\n\r\n")


def test_a_reason_has_no_control_characters() -> None:
    parsed = parse_response(b"RTSP/1.0 418 \x1b]0;pwned\x07No\r\n\r\n")
    assert parsed is not None
    assert parsed[0].reason == "No"


def test_a_request_is_as_rfc_2326_writes_it() -> None:
    data = request_bytes("ANNOUNCE", "rtsp://host/x", {"CSeq": "1"}, b"v=0\r\n")
    assert data == b"ANNOUNCE rtsp://host/x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def test_a_packet_is_framed_with_channel_and_length() -> None:
    assert interleaved(1, b"abc") == b"$\x01\x00\x03abc"


@given(st.integers(0, 255), st.binary(max_size=50), st.binary(max_size=9))
def test_a_packet_is_waited_for_and_cut_out_of_what_follows(channel: int, data: bytes, after: bytes) -> None:
    framed = interleaved(channel, data)
    assert all(parse_packet(framed[:length]) is None for length in range(len(framed)))
    assert parse_packet(bytearray(framed + after)) == (Packet(channel, data), len(framed))
