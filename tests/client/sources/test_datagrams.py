"""Streams that are sent here by UDP and RTP, from ffmpeg."""

import re
import socket
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from stream_client.errors import (
    ConfigurationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
)
from stream_client.sources.factory import open_source
from tests.support.numbered import Sender, Watched, follows, numbered_video, open_reconnecting
from tests.support.ports import free_port

GROUP = "239.255.77.1"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("numbered") / "video.ts")


def description(path: Path, port: int, address: str = "127.0.0.1", codec: str = "H264") -> Path:
    path.write_text(f"v=0\nc=IN IP4 {address}\nm=video {port} RTP/AVP 96\na=rtpmap:96 {codec}/90000\n")
    return path


@pytest.mark.parametrize("way", ["udp", "multicast", "rtp", "sdp"])
def test_a_stream_is_read_by_number_and_goes_on_when_its_sender_comes_back(
    video: Path, tmp_path: Path, way: str
) -> None:
    port = free_port()
    name, output = {
        "udp": (f"udp://127.0.0.1:{port}", ("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316")),
        "multicast": (
            f"udp://{GROUP}:{port}?interface=127.0.0.1",
            ("-f", "mpegts", f"udp://{GROUP}:{port}?localaddr=127.0.0.1&pkt_size=1316"),
        ),
        "rtp": (f"rtp://127.0.0.1:{port}", ("-f", "rtp_mpegts", f"rtp://127.0.0.1:{port}")),
        "sdp": (
            str(description(tmp_path / "camera.sdp", port)),
            ("-f", "rtp", f"rtp://127.0.0.1:{port}"),
        ),
    }[way]
    with Sender(video, *output) as sender, Watched(open_reconnecting(name)) as watched:
        assert (watched.info.live, watched.info.width) == (True, 320)
        assert follows(watched.read(20))
        sender.kill()
        sender.start()
        assert follows(watched.read_anew(20))
        assert all(after.timestamp > before.timestamp for before, after in pairwise(watched.frames))
        assert not any(frame.damaged for frame in watched.frames[:20])


def test_a_sender_that_stays_away_is_a_loss(video: Path) -> None:
    port = free_port()
    with (
        Sender(video, "-f", "mpegts", f"udp://127.0.0.1:{port}") as sender,
        Watched(open_reconnecting(f"udp://127.0.0.1:{port}", timeout=1)) as watched,
    ):
        watched.read(5)
        sender.kill()
        comes_back = threading.Timer(1.5, sender.start)
        comes_back.start()
        watched.read_anew(5)
        comes_back.join()
    assert watched.states == ["connecting", "live", "lost", "connecting", "live"]


def test_another_program_at_the_port_and_silence_are_one_line_each() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", free_port()))
        name = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        first = open_reconnecting(name, reconnect_timeout=0)
        with pytest.raises(SourceError, match="another program of this machine listens there"):
            first.open()
        first.close()
    for scheme in ("udp", "rtp"):
        silent = open_reconnecting(f"{scheme}://127.0.0.1:{free_port()}", timeout=0.3, reconnect_timeout=0)
        with pytest.raises(SourceTimeoutError, match=r"got nothing within 0\.3 s"):
            silent.open()
        silent.close()


def test_rtp_of_another_kind_asks_for_its_description(video: Path) -> None:
    port = free_port()
    with Sender(video, "-f", "rtp", f"rtp://127.0.0.1:{port}"):
        reader = open_reconnecting(f"rtp://127.0.0.1:{port}")
        with pytest.raises(SourceCodecError, match=r"RTP of type 96.*\.sdp file"):
            reader.open()
        reader.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("udp://127.0.0.1", "no port"),
        ("udp://camera:5000", "camera is no IP address"),
        ("udp://192.0.2.1:5000", "192.0.2.1 is no address of this machine"),
        (f"udp://{GROUP}:5000", "?interface=ADDRESS"),
        (f"rtp://{GROUP}:5000?interface=192.0.2.1", "192.0.2.1 is no address of this machine"),
        (f"rtp://{GROUP}:5000?interface=eth0", "interface is an IP address"),
        ("udp://[ff15::1]:5000", "groups of IPv6 cannot be joined"),
        ("udp://127.0.0.1:5000?jwt=a-secret", "unknown jwt"),
        ("udp:/127.0.0.1:5000", "two slashes"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)) as refusal:
        open_source(name)
    assert "a-secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (None, SourceNotFoundError, "No such file"),
        ("an essay", SourceCodecError, "begins with v=0"),
        ("v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n", SourceCodecError, "describes no video"),
        ("v=0\nm=video 5004 RTP/AVP 96\n", SourceNotFoundError, "no host is no IP address"),
        ("v=0\nc=IN IP4 127.0.0.1\nm=video x RTP/AVP 96\n", SourceCodecError, "names no port"),
        ("v=0\nc=IN IP4 239.1.2.3/5\nm=video 5004 RTP/AVP 96\n", SourceNotFoundError, "?interface=ADDRESS"),
    ],
)
def test_a_description_that_cannot_work_ends_the_run_at_once(
    tmp_path: Path, text: str | None, kind: type[SourceError], words: str
) -> None:
    path = tmp_path / "camera.sdp"
    if text is not None:
        path.write_text(text)
    reader = open_reconnecting(str(path))
    with pytest.raises(kind, match=re.escape(words)):
        reader.open()
    reader.close()
