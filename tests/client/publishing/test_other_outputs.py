"""Publishing by RTMP, SRT and UDP, and into HLS folders, to servers and viewers of others."""

import re
import socket
import subprocess
import time
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.errors import ConfigurationError
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.publisher import PublishingSink
from stream_client.publishing.refusals import meaning
from stream_client.sinks.factory import open_sink
from stream_client.sources.feed import LiveInput
from stream_client.sources.network import network_error
from tests.support.ports import free_port
from tests.support.rtmp_server import RtmpServer, watch
from tests.support.show import Show, assert_similar
from tests.support.video import picture
from tests.support.waiting import wait_until

SIZE = 64, 48
SECRET = "a-secret-of-mine"


def sink(name: str, **options: float) -> PublishingSink:
    made = open_sink(name, SinkOptions(**options))  # type: ignore[arg-type]
    assert isinstance(made, PublishingSink)
    return made


def assert_shown(frame: bytes, value: int) -> None:
    assert_similar(np.frombuffer(frame, np.uint8).reshape(SIZE[1], SIZE[0], 3), picture(value))


def test_rtmp_is_watched_and_a_server_that_comes_back_is_found_again(tmp_path: Path) -> None:
    with RtmpServer(tmp_path) as server, Show(sink(server.url("live/key")), picture(20)) as show:
        show.wait_for("live")
        assert_shown(server.watch("live/key", 5, SIZE)[-1], 20)
        server.kill()
        show.wait_for("live", "lost")
        server.start()
        show.wait_for("live", "lost", "live")
        assert_shown(server.watch("live/key", 5, SIZE)[-1], 20)


def test_a_refused_rtmp_stream_says_why_and_its_key_is_shown_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RtmpServer(tmp_path) as server, Show(sink(server.url(f"live/{SECRET}"))) as first:
        first.wait_for("live")
        for path, reason in ((f"live/{SECRET}", "somebody publishes this stream already"), ("none/x", "application")):
            with Show(sink(server.url(path))) as second:
                second.wait_for("connecting", "connecting")
            problem = second.sink.output().problem()
            assert problem is not None
            assert reason in problem
    assert "somebody publishes this stream already" in caplog.text
    assert SECRET not in caplog.text


def test_a_server_that_takes_an_rtmp_stream_and_then_closes_it_may_refuse_the_key(tmp_path: Path) -> None:
    with RtmpServer(tmp_path) as server, Show(sink(server.url("closed/key"))) as show:
        wait_until(lambda: "stream key" in (show.sink.output().problem() or ""))


def test_srt_is_watched_and_its_passphrase_is_on_no_command_line(tmp_path: Path) -> None:
    port = free_port()
    listener = f"srt://127.0.0.1:{port}?mode=listener&passphrase={SECRET}"
    seen = tmp_path / "seen.ts"
    listening = subprocess.Popen(["ffmpeg", "-v", "error", "-i", listener, "-c", "copy", "-t", "2", str(seen)])
    with listening, Show(sink(f"srt://127.0.0.1:{port}?passphrase={SECRET}"), picture(20)) as show:
        show.wait_for("live")
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if "self" not in str(path)]
        ours = [command for command in commands if b"-raw_packet_size" in command]
        assert ours
        assert not any(SECRET.encode() in command for command in ours)
        assert listening.wait(30) == 0
    with av.open(str(seen)) as container:
        *_, last = container.decode(video=0)
        assert_similar(last.to_ndarray(format="rgb24").astype(np.uint8), picture(20))


def test_a_wrong_passphrase_of_srt_ends_the_run_in_one_line() -> None:
    port = free_port()
    listener = f"srt://127.0.0.1:{port}?mode=listener&passphrase={SECRET}"
    listening = subprocess.Popen(["ffmpeg", "-v", "quiet", "-i", listener, "-f", "null", "-"])
    try:
        time.sleep(1)
        with Show(sink(f"srt://127.0.0.1:{port}?passphrase=something-else")) as show:
            assert "passphrase" in str(show.failure())
            assert "something-else" not in str(show.error)
    finally:
        listening.kill()
        listening.wait()


def test_mpeg_ts_by_udp_is_watched_by_whoever_listens() -> None:
    port = free_port()
    with Show(sink(f"udp://127.0.0.1:{port}"), picture(20)) as show:
        show.wait_for("live")
        assert_shown(watch(f"udp://127.0.0.1:{port}?timeout=5000000", 5, SIZE)[-1], 20)


def test_an_hls_folder_keeps_the_newest_segments_and_a_whole_playlist(tmp_path: Path) -> None:
    playlist = tmp_path / "web" / "index.m3u8"
    with Show(sink(str(playlist), hls_time=0.5), picture(20)) as show:
        show.wait_for("live")
        deadline = time.monotonic() + 40
        while not (playlist.parent / "index00011.ts").exists():
            assert time.monotonic() < deadline
            text = playlist.read_text() if playlist.exists() else "#EXTM3U\n"
            assert text.startswith("#EXTM3U\n")
            time.sleep(0.05)
        text = playlist.read_text()
        assert_shown(watch(str(playlist), 5, SIZE)[-1], 20)
    assert "#EXT-X-PROGRAM-DATE-TIME:" in text
    assert not (playlist.parent / "index00000.ts").exists()
    named = re.findall(r"^index\d+\.ts$", playlist.read_text(), re.MULTILINE)
    assert all((playlist.parent / name).exists() for name in named)
    assert len(named) <= 6


def test_a_host_that_nobody_knows_is_named_with_the_remedy() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    found = "no address is known for this host (Name or service not known): correct the URL"
    assert meaning(error, 5.0) == found
    assert network_error(LiveInput("rtsp://h/x", "rtsp://h/x"), error).message == f"rtsp://h/x: {found}"


def test_a_folder_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Show(sink(str(tmp_path / "file" / "index.m3u8"))) as show:
        assert "/file cannot be written: it is no folder; name another one" in str(show.failure())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rtmp://host", "names an application"),
        ("rtmp://me:secret@host/live/x", "no login before the host"),
        ("srt://host", "no port"),
        ("srt://host:1?passphrase=short", "10 to 79 characters"),
        ("srt://host:1?color=red", "unknown color"),
        ("udp://host", "no port"),
        ("udp://239.1.2.3:5000", "?interface=ADDRESS"),
        ("udp://host:1?ttl=x", "ttl is a number"),
        ("gopher://host/x", "gopher:// output is not supported"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)) as refusal:
        open_sink(name)
    assert "secret" not in str(refusal.value)
