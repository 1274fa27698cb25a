"""HLS from servers that are away, wrong or hostile, and playlists on this machine."""

import itertools
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_client.errors import SourceAuthenticationError, SourceCodecError, SourceError
from stream_client.frames import Frame
from stream_client.sources.base import Source
from stream_client.sources.file import FileSource
from stream_client.sources.hls_playlist import playlist
from stream_client.sources.network import network_source
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.web_streams import DIGEST, OTHER_HOST, Chunks, WebStreams

PARTS = 3
IN_A_PART = 30
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
PLAYLIST = "application/vnd.apple.mpegurl"


def ffmpeg(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts of half a second, also encrypted."""
    path = tmp_path_factory.mktemp("hls")
    (path / "key").write_bytes(bytes(range(16)))
    (path / "key_info").write_text(f"secret/key\n{path / 'key'}\n")
    video = (
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=60:d=1.5",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        IN_A_PART,
    )
    parts = ("-hls_time", "0.5", "-hls_playlist_type", "vod", "-hls_segment_filename")
    ffmpeg(*video, *parts, path / "part%d.ts", path / "list.m3u8")
    (path / "secret").mkdir()
    (path / "key").rename(path / "secret" / "key")
    (path / "key_info").write_text(f"secret/key\n{path / 'secret' / 'key'}\n")
    ffmpeg(*video, "-hls_key_info_file", path / "key_info", *parts, path / "locked%d.ts", path / "encrypted.m3u8")
    return path


@pytest.fixture
def server(made: Path) -> Iterator[WebStreams]:
    with WebStreams(made) as server:
        yield server


def listed(*names: str, end: bool = True) -> str:
    parts = "".join(f"#EXTINF:0.5,\n{name}\n" for name in names)
    return f"{HEAD}{parts}{'#EXT-X-ENDLIST' if end else ''}\n"


def text(content: str, content_type: str = PLAYLIST) -> tuple[str, Chunks]:
    return content_type, lambda: iter([content.encode()])


def in_turn(*contents: str) -> tuple[str, Chunks]:
    """One after the other, and the last for ever."""
    left = list(contents)
    return PLAYLIST, lambda: iter([(left.pop(0) if len(left) > 1 else left[0]).encode()])


def read_all(source: Source) -> list[Frame]:
    source.open()
    frames = []
    try:
        while (frame := source.read()) is not None:
            frames.append(frame)
    finally:
        source.close()
    return frames


def read(server: WebStreams, name: str, **options: float) -> list[Frame]:
    return read_all(network_source(server.url(name), **{"timeout": 5, "reconnect_timeout": 0, **options}))  # type: ignore[arg-type]


def assert_whole(frames: list[Frame], parts: int = PARTS) -> None:
    assert [frame.index for frame in frames] == list(range(parts * IN_A_PART))
    assert [frame.timestamp for frame in frames] == pytest.approx([n * 1e6 / 60 for n in range(len(frames))], abs=20)


@pytest.mark.parametrize("name", ["list.m3u8", "encrypted.m3u8"])
def test_a_playlist_that_is_redirected_names_its_parts_beside_its_new_place(made: Path, name: str) -> None:
    with WebStreams(made) as content, WebStreams(made / "secret") as first:
        first.redirects["moved/to.m3u8"] = content.url(name)
        assert_whole(read(first, "moved/to.m3u8"))
    assert {name for name, _ in first.asked} == {"moved/to.m3u8"}


@pytest.mark.parametrize("trouble", ["a refusal", "a cut"])
def test_a_part_that_is_away_for_a_moment_costs_no_frame(server: WebStreams, made: Path, trouble: str) -> None:
    if trouble == "a refusal":
        server.statuses["part1.ts"] = [503]
    else:
        server.cuts = [None, None, None, (made / "part1.ts").stat().st_size // 2]
    assert_whole(read(server, "list.m3u8", reconnect_timeout=20))


def test_a_part_that_is_not_there_is_missed(server: WebStreams, caplog: pytest.LogCaptureFixture) -> None:
    server.statuses["part1.ts"] = [404]
    frames = read(server, "list.m3u8")
    assert len(frames) == 2 * IN_A_PART
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"{server.url('list.m3u8')}: frames are missing, a part of it cannot be read: Server returned 404 Not Found"
    ]


def test_a_part_that_is_not_there_is_missed_on_this_machine(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = made / "local.m3u8"
    path.write_text(listed("part0.ts", "gone.ts", str(made / "part1.ts")))
    assert len(read_all(FileSource(path))) == 2 * IN_A_PART
    assert f"{path}: frames are missing, a part of it cannot be read: No such file or directory" in caplog.text


def test_a_list_that_names_itself_comes_to_an_end(server: WebStreams, made: Path) -> None:
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nitself.m3u8\n"
    server.streams["itself.m3u8"] = text(master)
    with pytest.raises(SourceCodecError, match="more than 100 playlists name one another"):
        read(server, "itself.m3u8")
    (made / "itself.m3u8").write_text(master)
    with pytest.raises(SourceCodecError, match="more than 100 playlists name one another"):
        read_all(FileSource(made / "itself.m3u8"))


def test_a_list_of_too_many_lists_is_refused(server: WebStreams) -> None:
    variants = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.m3u8?{n}\n" for n in range(100))
    server.streams["many.m3u8"] = text(f"#EXTM3U\n{variants}")
    with pytest.raises(SourceCodecError, match="more than 100 playlists"):
        read(server, "many.m3u8")
    assert len(server.asked) == 2


def test_a_list_without_end_is_refused(server: WebStreams) -> None:
    part = b"#EXTINF:1,\npart0.ts\n" * 500
    server.streams["endless.m3u8"] = (PLAYLIST, lambda: itertools.chain([HEAD.encode()], itertools.repeat(part)))
    with pytest.raises(SourceCodecError, match="a playlist of more than 8 MiB"):
        read(server, "endless.m3u8")


FOREIGN: dict[str, Callable[[Path], str]] = {
    "a file of this machine": lambda folder: listed(f"file://{folder}/part0.ts"),
    "a socket": lambda folder: listed("tcp://127.0.0.1:9/part0.ts"),
    "a list of FFmpeg's": lambda folder: "ffconcat version 1.0\nfile part0.ts\n",
    "a port to listen at": lambda folder: (
        "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=x\nc=IN IP4 0.0.0.0\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    ),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_server_names_no_file_and_no_port_of_this_machine(
    server: WebStreams, made: Path, content: Callable[[Path], str]
) -> None:
    server.streams["foreign.m3u8"] = text(content(made), "text/plain")
    with pytest.raises(SourceCodecError, match="has no video that can be decoded"):
        read(server, "foreign.m3u8")


def test_a_server_names_no_playlist_of_this_machine(server: WebStreams, made: Path) -> None:
    server.streams["foreign.m3u8"] = text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://{made}/list.m3u8\n")
    with pytest.raises(SourceCodecError, match="it names playlists that are not behind HTTP"):
        read(server, "foreign.m3u8")


def test_a_live_stream_that_ends_is_not_read_again(server: WebStreams) -> None:
    live, ended = listed("part0.ts", "part1.ts", end=False), listed("part0.ts", "part1.ts", "part2.ts")
    server.streams["live.m3u8"] = in_turn(live, live, ended)
    source = network_source(server.url("live.m3u8"), timeout=5)
    source.keep_all()
    frames = read_all(source)
    assert [frame.index for frame in frames] == list(range(PARTS * IN_A_PART))
    assert frames[0].timestamp > 1_600_000_000_000_000
    assert source.reconnections == 0


@pytest.mark.parametrize("more", [0, 1])
def test_a_live_stream_that_ends_while_it_is_away_is_read_to_its_end(server: WebStreams, more: int) -> None:
    names = ["part0.ts", "part1.ts", "part2.ts"][: 2 + more]
    live = listed("part0.ts", "part1.ts", end=False)
    server.streams["live.m3u8"] = in_turn(live, live, "", listed(*names))
    source = network_source(server.url("live.m3u8"), timeout=5)
    source.keep_all()
    assert len(read_all(source)) == len(names) * IN_A_PART


def test_a_live_stream_that_stands_still_is_lost_and_not_shown_again(server: WebStreams) -> None:
    server.streams["live.m3u8"] = text(listed("part0.ts", "part1.ts", end=False))
    source: ReconnectingSource = network_source(server.url("live.m3u8"), timeout=5, reconnect_timeout=4)
    source.keep_all()
    source.open()
    frames = []
    with pytest.raises(SourceError):  # noqa: PT012 - it ends with the error
        while (frame := source.read()) is not None:
            frames.append(frame)
    source.close()
    assert len(frames) <= 2 * IN_A_PART
    assert source.reconnections == 0


def test_a_list_that_is_empty_yet_is_waited_for(server: WebStreams) -> None:
    server.streams["soon.m3u8"] = in_turn(HEAD, HEAD, listed("part0.ts"))
    assert len(read(server, "soon.m3u8", reconnect_timeout=20)) == IN_A_PART


def test_one_rendition_is_read(server: WebStreams) -> None:
    for name in ("small", "large"):
        server.streams[f"{name}.m3u8"] = text(listed(*(f"part{n}.ts?{name}" for n in range(PARTS))))
    variants = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}.m3u8\n" for name in ("small", "large"))
    server.streams["all.m3u8"] = text(f"#EXTM3U\n{variants}")
    server.streams |= {
        f"part{n}.ts?{name}": ("video/mp2t", lambda n=n: iter([(server.folder / f"part{n}.ts").read_bytes()]))  # type: ignore[misc]
        for n in range(PARTS)
        for name in ("small", "large")
    }
    assert_whole(read(server, "all.m3u8"))
    assert [name for name, _ in server.asked if "?large" in name] == ["part0.ts?large"]  # to see what it is


def test_a_password_is_for_the_playlists_own_server_alone(made: Path) -> None:
    with WebStreams(made) as own, WebStreams(made) as other:
        own.locked = True
        own.streams["both.m3u8"] = text(listed("part0.ts", other.url("part1.ts"), own.url("part2.ts")))
        url = own.url("both.m3u8").replace("//", "//me:geheim@")
        frames = read_all(network_source(url, timeout=5, reconnect_timeout=0))
    assert_whole(frames)
    assert {password for _, password in other.asked} == {None}


def credentials_of(server: WebStreams, way: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands before the host of an address, where the server has a password that must not go in clear text."""
    server.locked, server.challenge = True, DIGEST
    if way == "address":
        return "me:geheim@"
    monkeypatch.setenv(CREDENTIALS_VARIABLE, f"http://me:geheim@{OTHER_HOST}:{server.server_port}")
    return ""


@pytest.mark.parametrize("way", ["address", "environment"])
@pytest.mark.parametrize("ranges", [False, True])
def test_parts_behind_digest_are_read_whole(
    server: WebStreams, made: Path, monkeypatch: pytest.MonkeyPatch, way: str, ranges: bool
) -> None:
    if ranges:
        parts = [made / f"part{n}.ts" for n in range(PARTS)]
        (made / "all.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
        each = "".join(f"#EXTINF:0.5,\n#EXT-X-BYTERANGE:{part.stat().st_size}\nall.ts\n" for part in parts)
        server.streams["list"] = text(f"#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:1\n{each}#EXT-X-ENDLIST\n")
    else:
        server.streams["list"] = text(listed("part0.ts", "part1.ts", "part2.ts"))
    url = server.url("list").replace("127.0.0.1", credentials_of(server, way, monkeypatch) + OTHER_HOST)
    assert_whole(read_all(network_source(url, timeout=5, reconnect_timeout=0)))
    assert {(given or "none").split()[0] for _, given in server.asked} == {"none", "Digest"}


def test_encrypted_parts_behind_digest_are_refused_with_what_helps(
    server: WebStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url("encrypted.m3u8").replace("127.0.0.1", credentials_of(server, "address", monkeypatch) + OTHER_HOST)
    with pytest.raises(SourceAuthenticationError, match=r"is encrypted .* use https://, or allow it") as caught:
        read_all(network_source(url, timeout=5, reconnect_timeout=0))
    assert caught.value.option == "rtsp_insecure"
    assert_whole(read_all(network_source(url, timeout=5, reconnect_timeout=0, insecure=True)))


def test_a_part_behind_digest_that_is_cut_costs_no_frame(
    server: WebStreams, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url("list.m3u8").replace("127.0.0.1", credentials_of(server, "address", monkeypatch) + OTHER_HOST)
    server.ranges = False
    server.cuts = [None, None, None, (made / "part1.ts").stat().st_size // 2]
    assert_whole(read_all(network_source(url, timeout=5, reconnect_timeout=20)))


def test_addresses_with_letters_and_spaces_are_read(server: WebStreams) -> None:
    server.streams["stra%C3%9Fe.m3u8"] = text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmy%20list é.m3u8\n")
    server.streams["my%20list%20%C3%A9.m3u8"] = text(listed("part0.ts"))
    assert_whole(read(server, "straße.m3u8"), parts=1)


def test_addresses_of_a_playlist_are_whole() -> None:
    content = (
        '#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI="k"\r\n#EXT-X-MAP:URI="head"\r\n#EXTINF:1,\r\na.ts\r\n\r\n# b\r\n'
        "#EXTINF:1,\r\nb.ts\r\n#EXT-X-ENDLIST\r\n"
    )
    found = playlist(content, lambda uri: f"<{uri}>")
    assert found.text.splitlines() == [
        *("#EXTM3U", '#EXT-X-KEY:METHOD=AES-128,URI="<k>"', '#EXT-X-MAP:URI="<head>"', "#EXTINF:1,", "<a.ts>"),
        *("#EXTINF:1,", "<b.ts>", "#EXT-X-ENDLIST"),
    ]
    assert (found.parts, found.beside, found.ended) == (("<a.ts>", "<b.ts>"), {"<k>", "<head>"}, True)
    master = playlist(
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="sound"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\nvideo\n', lambda uri: uri
    )
    assert (master.playlists, master.parts, master.ended) == ({"sound", "video"}, (), False)
