"""A file that is read for FFmpeg over HTTP, from servers that change their minds."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import av.error
import pytest

from stream_client.sources.digest_file import DigestFile
from stream_client.sources.feed import LiveInput
from tests.support.web_streams import WebStreams

DATA = bytes(range(200))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebStreams]:
    (tmp_path / "file").write_bytes(DATA)
    with WebStreams(tmp_path) as server:
        yield server


def opened(address: str, *, open_timeout: float = 5.0, read_timeout: float = 5.0) -> DigestFile:
    url = address.replace("//", "//me:geheim@")
    return DigestFile(LiveInput("file", url, open_timeout=open_timeout, read_timeout=read_timeout))


def rest_of(file: DigestFile) -> bytes:
    return b"".join(iter(lambda: file.read(64), b""))


def test_what_was_looked_at_is_still_read(server: WebStreams) -> None:
    file = opened(server.url("file"))
    assert file.begins_with(DATA[:7])
    assert not file.begins_with(DATA[1:9])
    assert (file.tell(), rest_of(file)) == (0, DATA)
    assert file.seek(-5, 2) == 195
    assert rest_of(file) == DATA[195:]
    file.seek(200)
    assert (file.read(9), file.error) == (b"", None)
    file.close()


def test_a_server_that_sends_no_ranges_any_more_is_not_read_from_the_wrong_place(server: WebStreams) -> None:
    file = opened(server.url("file"))
    server.ranges = False
    file.seek(100)
    assert file.read(9) == b""
    assert str(file.error) == "the server sends no ranges any more"


def test_a_refusal_after_the_beginning_is_kept(server: WebStreams) -> None:
    file = opened(server.url("file"))
    server.statuses["file"] = [404]
    file.seek(100)
    assert file.read(9) == b""
    assert isinstance(file.error, av.error.HTTPNotFoundError)


@pytest.mark.parametrize("ranges", [False, True])
def test_a_cut_is_noticed(server: WebStreams, ranges: bool) -> None:
    server.ranges, server.cuts = ranges, [150]
    file = opened(server.url("file"))
    assert file.seekable() is ranges
    assert rest_of(file) == DATA[:150]
    assert str(file.error) == "the connection broke off"
    file.close()


@pytest.mark.parametrize("length", ["9" * 5000, "*", "-1"])
def test_a_length_that_is_none_is_unknown(server: WebStreams, length: str) -> None:
    server.total = length
    file = opened(server.url("file"))
    assert not file.seekable()
    assert (rest_of(file), file.error) == (DATA, None)
    file.close()


def test_opening_and_reading_have_timeouts_of_their_own(server: WebStreams) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        opened(f"http://127.0.0.1:{silent.getsockname()[1]}/file", open_timeout=0.2, read_timeout=600)

    def late() -> Iterator[bytes]:
        yield DATA[:100]
        time.sleep(2.5)
        yield DATA[100:]

    server.streams["late"] = ("video/mp2t", late)
    file = opened(server.url("late"), open_timeout=2, read_timeout=60)
    assert (rest_of(file), file.error) == (DATA, None)
    file.close()
