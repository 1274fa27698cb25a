"""RTMP as an input, from nginx, to which ffmpeg publishes."""

import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from stream_client.errors import (
    ConfigurationError,
    SourceError,
    SourceTimeoutError,
    SourceTlsError,
)
from stream_client.sources.factory import open_source
from tests.support.numbered import Sender, Watched, follows, numbered_video, open_reconnecting
from tests.support.rtmp_server import RtmpServer

KEY = "a-secret-key"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("numbered") / "video.mp4", audio="aac")


def failure(name: str) -> SourceError:
    reader = open_reconnecting(name, timeout=1, reconnect_timeout=0)
    with pytest.raises(SourceError) as caught:
        reader.open()
    reader.close()
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_rtmp_is_read_by_number_with_its_sound_and_on_when_server_and_publisher_come_back(
    video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RtmpServer(tmp_path) as server:
        url = server.url(f"live/{KEY}")
        with Sender(video, "-f", "flv", url) as sender, Watched(open_reconnecting(url)) as watched:
            assert (watched.info.live, watched.info.frame_rate) == (True, 30)
            assert watched.info.sound is not None
            assert watched.info.sound.format.codec == "aac"
            assert follows(watched.read(20))
            sender.kill()
            sender.start()
            assert follows(watched.read_anew(20))
            sender.kill()
            server.kill()
            server.start()
            sender.start()
            assert follows(watched.read_anew(20))
    assert KEY not in caplog.text + watched.info.name
    assert "lost" in watched.states


def test_a_stream_that_nobody_publishes_and_one_that_is_refused_are_one_line_each(tmp_path: Path) -> None:
    with RtmpServer(tmp_path) as server:
        silent = failure(server.url(f"live/{KEY}"))
        assert isinstance(silent, SourceTimeoutError)
        assert "does somebody publish there?" in str(silent)
        assert "closed the connection" in str(failure(server.url(f"none/{KEY}")))
    assert "connection refused" in str(failure(server.url(f"live/{KEY}")))


def test_a_server_that_is_not_trusted_is_not_asked_for_the_stream(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-subj", "/CN=test", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(request, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    received.append(tls.recv(1))
            except OSError:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        problem = failure(f"rtmps://127.0.0.1:{listening.getsockname()[1]}/live/{KEY}")
        thread.join()
    assert isinstance(problem, SourceTlsError)
    assert "not trusted" in str(problem)
    assert not any(received)


@pytest.mark.parametrize(
    ("name", "text"),
    [("rtmp://host", "names an application"), ("rtmp://me:a-secret@host/live/x", "no login before the host")],
)
def test_an_address_that_cannot_work_is_refused_at_once(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)) as refusal:
        open_source(name)
    assert "a-secret" not in str(refusal.value)
    assert refusal.value.option == "source"
