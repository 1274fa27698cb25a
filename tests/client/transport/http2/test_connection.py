"""A connection of HTTP/2, against a server that does as it likes."""

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_client.transport.channel import MAX_ANSWER_BYTES
from stream_client.transport.http2.connection import Http2Connection
from stream_client.transport.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    Kind,
    Setting,
    frame,
    number,
)
from stream_client.transport.http2.frames import settings as settings_frame
from stream_client.transport.http2.headers import HeaderCodec
from stream_client.transport.http2.outbox import Outbox
from stream_client.transport.http2.stream import MOST_ANSWERS, CallEnded
from stream_client.transport.message import Message
from tests.client.transport.http2.scripted import Client, ScriptedServer

Script = Callable[[Client], None]


@contextmanager
def connected(folder: Path, script: Script) -> Iterator[Http2Connection]:
    with ScriptedServer(folder, script) as server, closing(Http2Connection(server.address, 5)) as connection:
        yield connection


def answers(folder: Path, script: Script) -> list[bytes]:
    """Those to a call without requests, of which the server hears before it does as ``script`` says."""

    def called(client: Client) -> None:
        client.read_until(Kind.DATA)
        script(client)

    with connected(folder, called) as connection:
        stream = connection.begin("/call")
        connection.finish(stream)
        return [bytes(answer) for answer in connection.answers(stream)]


def end(folder: Path, script: Script) -> CallEnded:
    with pytest.raises(CallEnded) as caught:
        answers(folder, script)
    return caught.value


def ends(call: Callable[..., object], *arguments: object) -> None:
    with suppress(CallEnded, OSError):
        call(*arguments)


def test_answers_come_in_any_pieces(tmp_path: Path) -> None:
    large = bytes(range(256)) * 1000

    def script(client: Client) -> None:
        client.send(frame(Kind.HEADERS, END_HEADERS, 1, b"\x88"))
        client.message(b"")
        whole = struct.pack(">BI", 0, 300) + bytes(300) + struct.pack(">BI", 0, len(large)) + large
        for start in range(0, 700, 7):
            client.send(frame(Kind.DATA, PADDED, 1, b"\x03" + whole[start : start + 7] + bytes(3)))
        client.send(frame(Kind.DATA, 0, 1, whole[700:]))
        client.trailers(grpc_status="0")

    assert answers(tmp_path, script) == [b"", bytes(300), large]


def test_a_message_waits_for_room(tmp_path: Path) -> None:
    message = bytes(range(251)) * 1000
    arrived = bytearray()

    def script(client: Client) -> None:
        client.send(settings_frame({Setting.INITIAL_WINDOW_SIZE: 100, Setting.MAX_FRAME_SIZE: 20_000}))
        client.read_until(Kind.HEADERS)
        while len(arrived) < len(message) + 5:
            head, body = client.read_until(Kind.DATA)
            arrived.extend(body)
            assert head.length <= 20_000
            client.give_room(head.length + 1)
        client.trailers(grpc_status="0")

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        sending = threading.Thread(
            target=connection.send, args=(stream, Message([message[:100_000], message[100_000:]]))
        )
        sending.start()
        assert not list(connection.answers(stream))
        sending.join()
    assert bytes(arrived) == struct.pack(">BI", 0, len(message)) + message


def test_a_ping_is_answered_while_a_message_waits_for_room(tmp_path: Path) -> None:
    pongs: list[bytes] = []

    def script(client: Client) -> None:
        client.read_until(Kind.DATA)
        client.send(frame(Kind.PING, 0, 0, b"12345678"))
        pongs.append(client.read_until(Kind.PING)[1])
        client.trailers(grpc_status="8", grpc_message="enough%21")

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        sent: list[CallEnded] = []

        def send() -> None:
            with pytest.raises(CallEnded) as caught:
                connection.send(stream, Message([bytes(200_000)]))
            sent.append(caught.value)

        sending = threading.Thread(target=send)
        sending.start()
        with pytest.raises(CallEnded, match="enough!"):
            list(connection.answers(stream))
        sending.join()
    assert pongs == [b"12345678"]
    assert sent[0].code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_small_calls_go_beside_a_streaming_one(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        client.read_until(Kind.HEADERS)
        head, _ = client.read_until(Kind.HEADERS)
        _, body = client.read_until(Kind.DATA)
        client.send(frame(Kind.DATA, 0, head.stream, body))
        client.send(
            frame(Kind.HEADERS, END_HEADERS | END_STREAM, head.stream, HeaderCodec().encode([("grpc-status", "0")]))
        )
        client.trailers(grpc_status="0")

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        reading = threading.Thread(target=lambda: list(connection.answers(stream)))
        reading.start()
        assert connection.unary("/small", b"echo", 10) == b"echo"
        reading.join()


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        (b"", grpc.StatusCode.UNAVAILABLE, "closed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", grpc.StatusCode.UNAVAILABLE, "does not speak HTTP/2"),
        (frame(Kind.RST_STREAM, 0, 1, number(7)), grpc.StatusCode.UNAVAILABLE, "reset"),
        (frame(Kind.RST_STREAM, 0, 1, number(2)), grpc.StatusCode.INTERNAL, "reset"),
        (frame(Kind.GOAWAY, 0, 0, number(0) + number(0) + b"bye"), grpc.StatusCode.UNAVAILABLE, "bye"),
        (frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, b"\x88"), grpc.StatusCode.UNKNOWN, "without a status"),
        (frame(Kind.HEADERS, END_HEADERS, 1, b"\x8d"), grpc.StatusCode.UNIMPLEMENTED, "404"),
        (frame(Kind.DATA, 0, 1, struct.pack(">BI", 1, 5)), grpc.StatusCode.INTERNAL, "compressed"),
        (
            frame(Kind.DATA, 0, 1, struct.pack(">BI", 0, MAX_ANSWER_BYTES + 1)),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "message larger than max",
        ),
        (frame(Kind.DATA, 0, 1, bytes(5 * MOST_ANSWERS + 5)), grpc.StatusCode.RESOURCE_EXHAUSTED, "at once"),
        (frame(Kind.DATA, PADDED, 1, b"\x09"), grpc.StatusCode.UNAVAILABLE, "padding"),
        (frame(Kind.PUSH_PROMISE, 0, 1, bytes(8)), grpc.StatusCode.UNAVAILABLE, "not asked for"),
        (frame(Kind.HEADERS, 0, 1, b"") + frame(Kind.PING, 0, 0, bytes(8)), grpc.StatusCode.UNAVAILABLE, "cut off"),
        (frame(Kind.HEADERS, 0, 1, bytes(60_000)) + frame(Kind.CONTINUATION, 0, 1, bytes(9_000)),
         grpc.StatusCode.UNAVAILABLE, "69000"),
    ],
)  # fmt: skip
def test_how_a_call_ends(tmp_path: Path, sent: bytes, code: grpc.StatusCode, says: str) -> None:
    found = end(tmp_path, lambda client: client.send(sent))
    assert (found.code(), says in found.details()) == (code, True), found.details()


def test_questions_without_end_end_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "MOST_REPLIES", 3)
    monkeypatch.setattr(Http2Connection, "MOST_TOGETHER", 1 << 26)
    monkeypatch.setattr("stream_client.transport.http2.connection.FIRST_WINDOW", 1 << 26)
    ended = threading.Event()

    def script(client: Client) -> None:
        client.read_until(Kind.DATA)  # the rest of the message stays where it is, and fills the socket
        client.send(frame(Kind.PING, 0, 0, bytes(8)) * 4)
        ended.wait(30)

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        sending = threading.Thread(target=ends, args=(connection.send, stream, Message([bytes(50 << 20)])))
        sending.start()
        with pytest.raises(CallEnded, match="takes no answers"):
            list(connection.answers(stream))
        sending.join()
        ended.set()


def test_each_stream_is_given_room_for_what_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Http2Connection, "MOST_TAKEN", 1000)
    room: dict[int, int] = {}

    def script(client: Client) -> None:
        client.read_until(Kind.WINDOW_UPDATE)  # the connection's first
        for _ in range(2):
            client.read_until(Kind.HEADERS)
        for stream in (1, 3, 1):
            client.message(bytes(595), stream=stream)
        client.send(frame(Kind.PING, 0, 0, bytes(8)))
        while (found := client.read())[0].kind != Kind.PING:
            if found[0].kind == Kind.WINDOW_UPDATE:
                room[found[0].stream] = room.get(found[0].stream, 0) + int.from_bytes(found[1], "big")
        client.trailers(grpc_status="0")

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        connection.begin("/another")
        assert len(list(connection.answers(stream))) == 2
    assert room == {0: 1200, 1: 1200}


def test_an_end_without_a_status_wakes_whoever_sends(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        client.read_until(Kind.DATA)
        client.message(b"the last", END_STREAM)
        while True:
            client.read()

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        sending = threading.Thread(target=ends, args=(connection.send, stream, Message([bytes(200_000)])))
        sending.start()
        with pytest.raises(CallEnded, match="without a status"):
            list(connection.answers(stream))
        sending.join()


def test_a_small_call_without_an_answer_is_given_up(tmp_path: Path) -> None:
    errors: list[bytes] = []

    def script(client: Client) -> None:
        errors.append(client.read_until(Kind.RST_STREAM)[1])

    with connected(tmp_path, script) as connection, pytest.raises(CallEnded) as caught:
        connection.unary("/small", b"", 0.01)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert errors == [number(8)]


def test_headers_may_come_in_parts(tmp_path: Path) -> None:
    block = HeaderCodec().encode([("grpc-status", "5"), ("grpc-message", "no graph")])

    def script(client: Client) -> None:
        client.send(frame(Kind.HEADERS, END_STREAM, 1, block[:9]) + frame(Kind.CONTINUATION, END_HEADERS, 1, block[9:]))

    found = end(tmp_path, script)
    assert (found.code(), found.details()) == (grpc.StatusCode.NOT_FOUND, "no graph")


def test_a_cut_ends_whoever_reads_or_sends(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        while True:
            client.read()

    with connected(tmp_path, script) as connection:
        stream = connection.begin("/call")
        ended: list[CallEnded] = []

        def send() -> None:
            with pytest.raises(CallEnded) as caught:
                connection.send(stream, Message([bytes(200_000)]))
            ended.append(caught.value)

        def read() -> None:
            with pytest.raises(CallEnded) as caught:
                list(connection.answers(stream))
            ended.append(caught.value)

        threads = [threading.Thread(target=each) for each in (send, read)]
        for thread in threads:
            thread.start()
        connection.cut()
        for thread in threads:
            thread.join()
        assert {each.code() for each in ended} == {grpc.StatusCode.CANCELLED}
        with pytest.raises(CallEnded):
            connection.begin("/another")


def test_settings_are_confirmed(tmp_path: Path) -> None:
    flags: list[int] = []

    def script(client: Client) -> None:
        client.send(settings_frame({Setting.HEADER_TABLE_SIZE: 4096}))
        flags.append(client.read_until(Kind.SETTINGS)[0].flags)
        client.trailers(grpc_status="0")

    assert not answers(tmp_path, script)
    assert flags == [ACK]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_frames_end_the_call(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    frames = data.draw(
        st.lists(
            st.builds(
                frame,
                st.sampled_from(list(Kind)),
                st.integers(0, 255),
                st.sampled_from([0, 1, 3]),
                st.binary(max_size=40),
            ),
            max_size=20,
        )
    )
    folder = tmp_path_factory.mktemp("s")
    with connected(folder, lambda client: client.send(b"".join(frames))) as connection:
        try:
            stream = connection.begin("/call")
            connection.finish(stream)
            list(connection.answers(stream))
        except (CallEnded, OSError):
            pass
