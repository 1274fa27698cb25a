"""RTMP's values and chunks, without a server."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import OutputRefusedError
from stream_client.rtmp import amf
from stream_client.rtmp.chunks import COMMAND, SET_CHUNK_SIZE, VIDEO, ChunkReader, Message, message_bytes
from stream_client.rtmp.publication import Publication

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5))
def test_values_come_back_as_they_were(values: list[amf.Value]) -> None:
    assert amf.decode(amf.encode(*values)) == values


@given(st.binary(max_size=200))
def test_no_bytes_of_a_server_do_more_than_end_the_attempt(data: bytes) -> None:
    try:
        amf.decode(data)
        ChunkReader().feed(data)
    except OutputRefusedError:
        pass


@given(st.binary(min_size=1, max_size=1000), st.integers(1, 300), st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_messages_come_out_of_chunks_of_any_size_however_they_are_cut(
    payload: bytes, chunk_size: int, time: int, cut: int
) -> None:
    reader = ChunkReader()
    size = message_bytes(Message(SET_CHUNK_SIZE, struct.pack("!I", chunk_size)), 128)
    data = size + 2 * message_bytes(Message(VIDEO, payload, 1, time), chunk_size)
    messages = [message for start in range(0, len(data), cut) for message in reader.feed(data[start : start + cut])]
    assert messages[1:] == 2 * [Message(VIDEO, payload, 1, time)]


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(OutputRefusedError, match="16777215 bytes"):
        ChunkReader().feed(b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0")


def test_an_error_of_the_server_is_a_refusal_with_its_words() -> None:
    publication = Publication("live", "key", "rtmp://host:1935/live")
    assert publication.begin()
    publication.receive(b"\x03" + bytes(2 * 1536))
    error = amf.encode("_error", 1, None, {"level": "error", "code": "NetConnection.Connect.InvalidApp"})
    with pytest.raises(OutputRefusedError, match="no such application"):
        publication.receive(message_bytes(Message(COMMAND, error), 128))


def test_what_speaks_something_else_is_no_rtmp() -> None:
    with pytest.raises(OutputRefusedError, match="does not speak RTMP"):
        Publication("live", "key", "rtmp://host").receive(b"HTTP/1.1 400 Bad Request\r\n")
