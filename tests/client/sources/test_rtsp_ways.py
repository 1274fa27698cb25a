"""The ways to a stream of RTSP: TLS, UDP, redirects, H.265, authentication, and FFmpeg after us."""

import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.errors import SourceAuthenticationError, SourceError, SourceTimeoutError, SourceTlsError
from stream_client.rtsp.h264 import split_access_unit
from stream_client.rtsp.messages import interleaved
from stream_client.sources.network import network_connection, network_source
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.certificates import certificate_for
from tests.support.rtsp_server import PATTERN, RtspServer
from tests.support.scripted_rtsp import ScriptedRtsp
from tests.support.video import write_video

MJPEG = (
    "( videotestsrc is-live=1 ! video/x-raw,format=I420,width=160,height=120,framerate=30/1 ! jpegenc "
    "! rtpjpegpay name=pay0 pt=26 )"
)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a stream with TLS, and its certificate."""
    both, certificate = certificate_for("IP:127.0.0.1", tmp_path_factory.mktemp("tls"))
    with RtspServer(play={"h264": PATTERN, "mjpeg": MJPEG}, certificate=both) as server:
        yield server.url("").replace("rtsp:", "rtsps:"), certificate


@pytest.mark.parametrize("codec", ["h264", "mjpeg"])  # one is read by us, the other by FFmpeg
def test_a_server_with_a_certificate_that_is_trusted_is_read(
    tls: tuple[str, Path], codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    source = network_source(url + codec, timeout=20, reconnect_timeout=0)
    assert source.open().codec == codec
    assert source.read() is not None
    source.close()


@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_a_server_with_any_certificate_is_read_on_request(tls: tuple[str, Path], codec: str) -> None:
    source = network_source(tls[0] + codec, timeout=20, reconnect_timeout=0, insecure=True)
    assert source.open().codec == codec
    assert source.read() is not None
    source.close()


def test_a_certificate_that_is_not_trusted_is_said_so(tls: tuple[str, Path]) -> None:
    source = network_source(tls[0] + "h264", timeout=20, reconnect_timeout=0)
    with pytest.raises(SourceTlsError, match=r"is not trusted \(self-signed certificate\): .* SSL_CERT_FILE") as caught:
        source.open()
    source.close()
    assert caught.value.option == "rtsp_insecure"


def test_a_certificate_for_another_name_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, certificate = certificate_for("DNS:camera.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with RtspServer(play={"test": PATTERN}, certificate=both) as server:
        source = network_source(server.url("test").replace("rtsp:", "rtsps:"), timeout=20, reconnect_timeout=0)
        with pytest.raises(SourceTlsError, match="is for another name"):
            source.open()
        source.close()


@pytest.mark.parametrize(("asked", "taken"), [("tcp", "udp"), ("udp", "tcp")])
def test_a_server_that_takes_one_transport_alone_gets_it(
    asked: str, taken: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        RtspServer(play={"test": PATTERN}, udp_only=taken == "udp", tcp_only=taken == "tcp") as server,
        caplog.at_level(logging.WARNING),
    ):
        source = network_source(server.url("test"), rtsp_transport=asked, timeout=20)  # type: ignore[arg-type]
        assert source.open().codec == "h264"
        frames = [source.read() for _ in range(20)]
        source.close()
    assert all(frame is not None for frame in frames)
    said = f"the server does not send by {asked.upper()}, so it is read by {taken.upper()}"
    assert [said in message for message in caplog.messages] == [True]


def test_a_firewall_that_stops_udp_is_thought_of() -> None:
    description = h265(1)[0]
    with ScriptedRtsp(description, b"") as server:
        source = network_source(server.url, rtsp_transport="udp", timeout=1, reconnect_timeout=0)
        with pytest.raises(SourceTimeoutError, match="no frame came by UDP within 1 s") as caught:
            source.open()
        source.close()
        assert (caught.value.option, caught.value.value) == ("rtsp_transport", "tcp")


def test_a_redirect_is_followed_without_credentials_for_another_server() -> None:
    with RtspServer(play={"test": PATTERN}, credentials=("me", "geheim")) as target:
        where = f"302 Moved\r\nLocation: {target.url('test')}"
        with ScriptedRtsp("", b"", refused={"DESCRIBE": where}) as server:
            source = network_source(server.url.replace("//", "//me:geheim@"), timeout=20, reconnect_timeout=0)
            with pytest.raises(SourceAuthenticationError):
                source.open()
            source.close()


def test_a_redirect_leads_to_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with RtspServer(play={"test": PATTERN}, credentials=("me", "geheim")) as target:
        monkeypatch.setenv(CREDENTIALS_VARIABLE, target.url("", "me:geheim"))
        where = f"302 Moved\r\nLocation: {target.url('test')}"
        with ScriptedRtsp("", b"", refused={"DESCRIBE": where}) as server:
            source = network_source(server.url, timeout=20, reconnect_timeout=0)
            assert source.open().codec == "h264"
            source.close()
            assert (server.methods, server.authorizations) == (["DESCRIBE"], [])


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("http://127.0.0.1/x", "which is not followed"),
        ("file:///etc/passwd", "which is not followed"),
        ("rtsp://me:geheim@/x", "what is no URL"),
    ],
)
def test_a_redirect_to_what_is_no_stream_is_refused(location: str, text: str) -> None:
    with ScriptedRtsp("", b"", refused={"DESCRIBE": f"302 Moved\r\nLocation: {location}"}) as server:
        source = network_source(server.url, timeout=5, reconnect_timeout=0)
        with pytest.raises(SourceError) as caught:
            source.open()
        source.close()
        assert server.methods == ["DESCRIBE"]
    assert text in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_server_that_redirects_to_itself_is_given_up() -> None:
    refused = {"OPTIONS": "200 OK"}
    with ScriptedRtsp("", b"", refused=refused) as server:
        refused["DESCRIBE"] = f"302 Moved\r\nLocation: {server.url}"
        source = network_source(server.url, timeout=5, reconnect_timeout=0)
        with pytest.raises(SourceError):
            source.open()
        source.close()
        assert server.methods.count("DESCRIBE") == 6


def test_a_codec_that_is_not_ours_goes_to_ffmpeg_over_one_connection_at_a_time() -> None:
    description = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:t\r\n"
    with ScriptedRtsp(description, b"") as server:
        source = network_source(server.url, timeout=2, reconnect_timeout=0)
        with pytest.raises(SourceError):
            source.open()
        source.close()
        assert server.methods[:2] == ["DESCRIBE", "OPTIONS"]  # ours, then FFmpeg's first request
        assert server.most_connections == 1


@pytest.mark.parametrize("trusted", [True, False])
def test_a_video_behind_https_is_read_if_its_certificate_is_trusted(
    tmp_path: Path, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, certificate = certificate_for("IP:127.0.0.1", tmp_path)
    write_video(tmp_path / "clip.mp4", frames=5)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with https_server(tmp_path, both) as port:
        source = network_source(f"https://127.0.0.1:{port}/clip.mp4", timeout=10, reconnect_timeout=0)
        if trusted:
            assert source.open().codec == "h264"
            assert source.read() is not None
        else:
            with pytest.raises(SourceTlsError, match="certificate is not trusted"):
                source.open()
        source.close()


@contextmanager
def https_server(folder: Path, certificate: Path) -> Iterator[int]:
    """Serves a folder's files with TLS; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # a client that does not trust the certificate leaves in mid-handshake
            super().handle()


def test_h265_is_read_by_ourselves() -> None:
    description, packets = h265(5)
    with ScriptedRtsp(description, b"".join(packets)) as server:
        source = network_connection(server.url, timeout=20)
        info = source.open()
        frame = source.read()
        source.close()
        assert (info.codec, info.width, info.height) == ("hevc", 160, 128)
        assert frame is not None
        assert abs(frame.image.mean() - 40 * (frame.index + 1)) < 5
        assert server.methods[:3] == ["DESCRIBE", "SETUP", "PLAY"]


def h265(pictures: int) -> tuple[str, list[bytes]]:
    """A description without parameter sets, and the packets of gray pictures, in fragments of 100 bytes."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 160, 128, "yuv420p", Fraction(1, 30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none:repeat-headers=1"}
    encoded = []
    for number in range(pictures):
        frame = av.VideoFrame.from_ndarray(np.full((128, 160, 3), 40 * (number + 1), np.uint8), format="rgb24")
        frame.pts = number
        encoded += encoder.encode(frame)
    encoded += encoder.encode(None)
    packets, sequence = [], 0
    for packet in encoded:
        assert packet.pts is not None
        parts = [part for unit in split_access_unit(bytes(packet)) for part in fragments(unit)]
        for number, part in enumerate(parts):
            marker = 0x80 if number == len(parts) - 1 else 0
            head = bytes([0x80, marker | 97]) + sequence.to_bytes(2, "big") + (3000 * packet.pts).to_bytes(4, "big")
            packets.append(interleaved(0, head + bytes(4) + part))
            sequence += 1
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=x", "t=0 0", "m=video 0 RTP/AVP 97", "a=rtpmap:97 H265/90000"]
    return "\r\n".join([*lines, "a=control:t", ""]), packets


def fragments(unit: bytes) -> list[bytes]:
    if len(unit) <= 100:
        return [unit]
    kind, pieces = unit[0] >> 1 & 0x3F, [unit[start : start + 100] for start in range(2, len(unit), 100)]
    head = bytes([unit[0] & 0x81 | 49 << 1, unit[1]])
    flags = [(0x80 if not at else 0) | (0x40 if at == len(pieces) - 1 else 0) for at in range(len(pieces))]
    return [head + bytes([flag | kind]) + piece for flag, piece in zip(flags, pieces, strict=True)]
