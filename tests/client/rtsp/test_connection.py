"""The connection below publishing and playing."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stream_client.errors import RtspError
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.messages import interleaved
from tests.support.scripted_rtsp import ScriptedRtsp


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The connection's time, in seconds, which stands still."""
    now = [time.monotonic()]
    monkeypatch.setattr("stream_client.rtsp.connection.time.monotonic", lambda: now[0])
    return now


@contextmanager
def session(server: ScriptedRtsp) -> Iterator[RtspConnection]:
    """A connection with a session, closed at the end."""
    with server:
        connection = RtspConnection(server.url, timeout=20)
        try:
            connection.connect()
            connection.request("SETUP", server.url, {})
            yield connection
        finally:
            connection.close()


def test_a_session_is_kept_alive_in_half_the_time_that_the_server_declares(clock: list[float]) -> None:
    server = ScriptedRtsp("", b"")
    with session(server) as connection:
        clock[0] += 9.9
        assert connection.keepalive() == b""
        clock[0] += 0.2
        request = connection.keepalive()
        assert request.startswith(b"OPTIONS ")
        assert b"\r\nSession: 1\r\n" in request
        assert connection.keepalive() == b""
    assert server.methods == ["SETUP", "TEARDOWN"]


def test_a_server_that_does_not_answer_a_keepalive_has_fallen_silent(clock: list[float]) -> None:
    with session(ScriptedRtsp("", b"")) as connection:
        clock[0] += 10.1
        connection.send(connection.keepalive())
        connection.receive()
        clock[0] += 20.1
        assert connection.keepalive()
        clock[0] += 20.1
        with pytest.raises(TimeoutError, match="fallen silent"):
            connection.keepalive()


@pytest.mark.parametrize("publishing", [False, True])
def test_the_answer_to_the_first_keepalive_says_which_kind_the_server_counts(
    publishing: bool, clock: list[float]
) -> None:
    server = ScriptedRtsp("", b"", refused={"OPTIONS": "200 OK\r\nPublic: OPTIONS, GET_PARAMETER"})
    with session(server) as connection:
        clock[0] += 10.1
        connection.send(connection.keepalive())
        if publishing:
            select.select([connection], [], [], 20)
            connection.discard_received()
        else:
            connection.receive()
        assert connection.keepalive().startswith(b"GET_PARAMETER ")


def test_a_good_bye_is_answered_before_the_connection_closes() -> None:
    server = ScriptedRtsp("", b"")
    with session(server) as connection:
        connection.close()
        assert server.methods == ["SETUP", "TEARDOWN"]


def test_the_answer_to_a_keepalive_is_not_taken_for_that_of_the_next_request(clock: list[float]) -> None:
    server = ScriptedRtsp("sound", b"", refused={"OPTIONS": "454 Session Not Found"})
    with session(server) as connection:
        clock[0] += 11
        connection.send(connection.keepalive())
        assert connection.request("DESCRIBE", server.url, {}).body == b"sound"


def test_a_server_that_sends_packets_and_does_not_answer_is_left() -> None:
    with ScriptedRtsp("", b"", flood=interleaved(0, bytes(60_000))) as server:
        connection = RtspConnection(server.url, timeout=20)
        connection.connect()
        with pytest.raises(RtspError, match="does not answer"):
            connection.request("SETUP", server.url, {})
        connection.close()
