"""RTMP's values and chunks, without a server."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import RtmpError
from stream_client.rtmp import amf
from stream_client.rtmp.address import rtmp_address
from stream_client.rtmp.chunks import AUDIO, COMMAND, DATA, SET_CHUNK_SIZE, VIDEO, ChunkReader, Message, message_bytes
from stream_client.rtmp.playback import Playback
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
        ChunkReader(1 << 20).feed(data)
    except RtmpError:
        pass


@given(st.binary(min_size=1, max_size=1000), st.integers(1, 300), st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_messages_come_out_of_chunks_of_any_size_however_they_are_cut(
    payload: bytes, chunk_size: int, time: int, cut: int
) -> None:
    reader = ChunkReader(1 << 20)
    size = message_bytes(Message(SET_CHUNK_SIZE, struct.pack("!I", chunk_size)), 128)
    data = size + 2 * message_bytes(Message(VIDEO, payload, 1, time), chunk_size)
    messages = [message for start in range(0, len(data), cut) for message in reader.feed(data[start : start + cut])]
    assert messages[1:] == 2 * [Message(VIDEO, payload, 1, time)]


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(RtmpError, match="16777215 bytes"):
        ChunkReader(1 << 20).feed(b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0")


def test_an_error_of_the_server_is_a_refusal_with_its_words() -> None:
    publication = Publication(rtmp_address("rtmp://host/live/key"))
    assert publication.begin()
    publication.receive(b"\x03" + bytes(2 * 1536))
    error = amf.encode("_error", 1, None, {"level": "error", "code": "NetConnection.Connect.InvalidApp"})
    with pytest.raises(RtmpError, match="no such application"):
        publication.receive(message_bytes(Message(COMMAND, error), 128))


def test_what_speaks_something_else_is_no_rtmp() -> None:
    with pytest.raises(RtmpError, match="does not speak RTMP"):
        Publication(rtmp_address("rtmp://host/live/key")).receive(b"HTTP/1.1 400 Bad Request\r\n")


def served(*messages: Message) -> bytes:
    """What a server says: its handshake, then these."""
    return b"\x03" + bytes(2 * 1536) + b"".join(message_bytes(message, 128) for message in messages)


CONFIGURATION, FRAME = b"\x17\x00\0\0\0avcc", b"\x17\x01\0\0\0frame"


@pytest.mark.parametrize(
    ("early", "flags"),
    [
        ([], 1),
        ([Message(AUDIO, b"\xaf\x00aac", 1)], 5),
        ([Message(DATA, amf.encode("@setDataFrame", "onMetaData", {"audiocodecid": 10}), 1)], 5),
        ([Message(DATA, amf.encode("onMetaData", {"audiocodecid": 0}), 1)], 1),
    ],
)
def test_a_viewer_gets_flv_that_says_whether_there_is_sound(early: list[Message], flags: int) -> None:
    playback = Playback(rtmp_address("rtmp://host/live/key"))
    playback.begin()
    video = [Message(VIDEO, CONFIGURATION, 1), Message(VIDEO, FRAME, 1, 0x1234567)]
    playback.receive(served(*early, *video))
    flv = playback.flv()
    assert flv[:5] == b"FLV\x01" + bytes([flags])
    assert b"@setDataFrame" not in flv
    assert flv.endswith(b"\x09\0\0\x0a\x23\x45\x67\x01\0\0\0" + FRAME + struct.pack("!I", 21))
    assert playback.flv() == b""


def test_messages_that_never_end_are_refused() -> None:
    first = bytes([0x03]) + bytes(3) + (600).to_bytes(3, "big") + bytes([VIDEO]) + bytes(4)
    pieces = [first, bytes([0x04]) + first[1:], *4 * [b"\xc3", b"\xc4"]]
    with pytest.raises(RtmpError, match="too many messages"):
        ChunkReader(1000).feed(b"".join(piece + bytes(128) for piece in pieces))
