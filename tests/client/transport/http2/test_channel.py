"""A channel of our own, against a server that does as it likes."""

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from stream_client.transport.http2.channel import DirectChannel
from stream_client.transport.http2.frames import Kind, frame, number
from stream_client.transport.http2.stream import CallEnded
from stream_client.transport.message import Message
from tests.client.transport.http2.scripted import Client, ScriptedServer


@pytest.mark.parametrize("error", [OSError(errno.ENOBUFS, "no more buffers"), KeyError("no more buffers")])
def test_requests_that_fail_end_the_call(tmp_path: Path, error: Exception) -> None:
    def script(client: Client) -> None:
        while True:
            client.read()

    def requests() -> Iterator[Message]:
        yield Message([b"one"])
        raise error

    with ScriptedServer(tmp_path, script) as server, closing(DirectChannel(server.address, 5)) as channel:
        call = channel.stream_stream("/call")(requests())
        with pytest.raises(CallEnded, match=r"sending failed: .*no more buffers"):
            list(call)
    assert call.code() is grpc.StatusCode.UNAVAILABLE


def test_a_call_after_a_server_went_away_has_a_new_connection(tmp_path: Path) -> None:
    def leaving(client: Client) -> None:
        client.read_until(Kind.HEADERS)
        client.send(frame(Kind.GOAWAY, 0, 0, number(1) + number(0)))
        client.trailers(grpc_status="0")

    def staying(client: Client) -> None:
        client.read_until(Kind.HEADERS)
        client.message(b"here")
        client.trailers(grpc_status="0")

    with ScriptedServer(tmp_path, leaving, staying) as server, closing(DirectChannel(server.address, 5)) as channel:
        start = channel.stream_stream("/call")
        assert not list(start(iter(())))
        assert [bytes(answer) for answer in start(iter(()))] == [b"here"]
