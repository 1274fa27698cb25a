"""The client's side of RTSP, with bytes and numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import RtspClearTextError, RtspError
from stream_client.rtsp.client import RtspClient
from stream_client.rtsp.messages import Packet, Response, interleaved
from stream_client.util.urls import Credentials

URL = "rtsp://host/x"
BASIC = 'Basic realm="x"'
DIGEST = 'Digest realm="x", nonce="1"'


def client(credentials: Credentials | None = None, *, clear_text: bool = False) -> RtspClient:
    return RtspClient(URL, credentials, clear_text=clear_text, silence=5.0)


def answer(made: RtspClient, response: str, now: float = 0.0, body: str = "") -> bytes:
    made.receive(f"RTSP/1.0 {response}\r\n\r\n{body}".encode())
    message = made.next_message()
    assert isinstance(message, Response)
    assert made.is_answer(message)
    return made.answer(message, now)


def first_word(data: bytes) -> str:
    return data.split(b" ", 1)[0].decode()


def play(made: RtspClient, *headers: str, timeout: int = 60) -> None:
    """The session's state after a PLAY at time 0; two requests went before."""
    made.request("SETUP", URL, {})
    answer(made, f"200 OK\r\nCSeq: 1\r\nSession: 7;timeout={timeout}")
    made.request("PLAY", URL, {})
    answer(made, "\r\n".join(["200 OK", "CSeq: 2", *headers]))


def test_a_challenge_is_answered_once_with_the_strongest_method() -> None:
    made = client(Credentials("me", "pw"))
    assert b"Authorization" not in made.request("DESCRIBE", URL, {})
    again = answer(made, f"401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: {BASIC}\r\nWWW-Authenticate: {DIGEST}")
    assert b"CSeq: 2" in again
    assert b"Authorization: Digest " in again
    with pytest.raises(RtspError, match="401"):
        answer(made, f"401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: {DIGEST}")


@pytest.mark.parametrize("clear_text", [True, False])
def test_basic_authentication_needs_leave_to_show_the_password(clear_text: bool) -> None:
    made = client(Credentials("me", "pw"), clear_text=clear_text)
    made.request("DESCRIBE", URL, {})
    challenge = f"401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: {BASIC}"
    if clear_text:
        assert b"Authorization: Basic bWU6cHc=" in answer(made, challenge)
    else:
        with pytest.raises(RtspClearTextError):
            answer(made, challenge)


def test_a_redirect_names_the_other_address() -> None:
    made = client()
    made.request("DESCRIBE", URL, {})
    with pytest.raises(RtspError, match="was redirected"):
        answer(made, "302 Moved\r\nCSeq: 1\r\nLocation: rtsp://other/y")
    assert made.redirection == "rtsp://other/y"


def test_the_session_is_kept_alive_in_the_way_that_the_server_offers() -> None:
    made = client()
    play(made)
    assert made.keepalive(24.9) == b""
    assert first_word(made.keepalive(25.0)) == "OPTIONS"
    made.receive(b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nPublic: OPTIONS, GET_PARAMETER\r\n\r\n")
    message = made.next_message()
    assert isinstance(message, Response)
    assert not made.is_answer(message)
    due = made.keepalive(25.1)  # some servers count no other kind
    assert first_word(due) == "GET_PARAMETER"
    assert b"Session: 7" in due
    made.receive(b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n")
    assert made.keepalive(50.0) == b""
    assert first_word(made.keepalive(50.1)) == "GET_PARAMETER"


def test_a_server_that_offers_a_keep_alive_and_refuses_it_gets_the_other_one() -> None:
    made = client()
    play(made, "Public: GET_PARAMETER")
    assert first_word(made.keepalive(25.0)) == "GET_PARAMETER"
    made.receive(b"RTSP/1.0 501 Not Implemented\r\nCSeq: 3\r\n\r\n")
    message = made.next_message()
    assert isinstance(message, Response)
    assert not made.is_answer(message)
    assert first_word(made.keepalive(50.0)) == "OPTIONS"


@given(st.integers(1, 600))
def test_a_keep_alive_comes_in_half_of_the_session_timeout(timeout: int) -> None:
    made = client()
    play(made, timeout=timeout)
    assert made.next_deadline() == max(1.0, min(25.0, timeout / 2))


def test_a_server_that_says_nothing_after_a_keep_alive_is_silent() -> None:
    made = client()
    play(made)
    made.keepalive(25.0)
    assert made.keepalive(29.9) == b""
    with pytest.raises(TimeoutError):
        made.keepalive(30.0)


def test_there_is_nothing_to_tear_down_without_a_session() -> None:
    made = client()
    assert made.teardown() == b""
    play(made)
    assert first_word(made.teardown()) == "TEARDOWN"


@given(st.lists(st.one_of(st.binary(max_size=30), st.none()), max_size=10), st.data())
def test_messages_are_found_however_the_bytes_are_cut(packets: list[bytes | None], data: st.DataObject) -> None:
    stream = b"".join(
        b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 2\r\n\r\nab" if packet is None else interleaved(3, packet)
        for packet in packets
    )
    made, found = client(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        made.receive(stream[:cut])
        stream = stream[cut:]
        while (message := made.next_message()) is not None:
            found.append(message)
    kinds = [Response if packet is None else Packet for packet in packets]
    assert [type(message) for message in found] == kinds
    assert [m.data for m in found if isinstance(m, Packet)] == [packet for packet in packets if packet is not None]


@given(st.binary(max_size=300))
def test_nothing_that_a_server_sends_raises_another_error(data: bytes) -> None:
    made = client()
    made.request("DESCRIBE", URL, {})
    made.receive(b"RTSP/1.0 200 OK\r\n" + data)
    try:
        message = made.next_message()
        if isinstance(message, Response) and made.is_answer(message):
            made.answer(message, 0.0)
    except RtspError:
        made.skip_to_packet()
