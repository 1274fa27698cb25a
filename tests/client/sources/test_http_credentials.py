"""Credentials of http:// sources go to their own host alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stream_client.errors import SourceAuthenticationError, SourceError
from stream_client.sources.network import network_source
from tests.support.video import write_video
from tests.support.web_streams import DIGEST, OTHER_HOST, WebStreams


class Guard(ThreadingHTTPServer):
    """Asks everybody for a password, and sends those who give one to ``location``, if there is one."""

    def __init__(self, location: str = "", challenge: str = 'Basic realm="x"') -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.location = location
        self.challenge = challenge
        self.requests = 0
        self.authorizations: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Guard

    def do_GET(self) -> None:
        self.server.requests += 1
        given = self.headers["Authorization"]
        if given is not None:
            self.server.authorizations.append(given)
        if given is not None and self.server.location:
            self.send_response(302)
            self.send_header("Location", self.server.location)
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", self.server.challenge)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(server: Guard) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video.mp4"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_redirect_takes_no_credentials_along() -> None:
    other = Guard()
    with serving(other) as target:
        first = Guard(target)
        with serving(first) as url:
            source = network_source(url.replace("//", "//me:geheim@"), timeout=5, reconnect_timeout=0)
            with pytest.raises(SourceError) as caught:
                source.open()
            source.close()
    assert first.authorizations
    assert (other.requests > 0, other.authorizations) == (True, [])
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "challenge", "insecure", "sent"),
    [
        (OTHER_HOST, 'Basic realm="x"', False, None),
        (OTHER_HOST, 'Basic realm="x"', True, "Basic"),
        (OTHER_HOST, DIGEST, False, "Digest"),
        ("127.0.0.1", 'Basic realm="x"', False, "Basic"),
    ],
)
def test_a_password_goes_in_clear_text_only_to_this_machine_or_where_that_is_allowed(
    host: str, challenge: str, insecure: bool, sent: str | None
) -> None:
    server = Guard(challenge=challenge)
    with serving(server) as address:
        url = address.replace("//127.0.0.1", f"//me:geheim@{host}")
        source = network_source(url, timeout=5, reconnect_timeout=0, insecure=insecure)
        with pytest.raises(SourceAuthenticationError) as caught:
            source.open()
        source.close()
    assert server.requests > 0
    assert {given.split()[0] for given in server.authorizations} == ({sent} if sent else set())
    assert caught.value.option == (None if sent else "rtsp_insecure")
    assert "geheim" not in str(caught.value)


class _Downgrading(_Handler):
    def do_GET(self) -> None:
        if self.server.requests:
            self.server.challenge = 'Basic realm="x"'
        super().do_GET()


def test_a_server_that_asks_for_digest_first_and_then_for_basic_gets_no_password() -> None:
    server = Guard(challenge=DIGEST)
    server.RequestHandlerClass = _Downgrading
    with serving(server) as address:
        url = address.replace("//127.0.0.1", f"//me:geheim@{OTHER_HOST}")
        source = network_source(url, timeout=5, reconnect_timeout=0)
        with pytest.raises(SourceAuthenticationError):
            source.open()
        source.close()
    assert server.requests > 1
    assert server.authorizations == []


@pytest.mark.parametrize("cut", [None, 3000])
@pytest.mark.parametrize("name", ["v.mp4", "v.ts"])
def test_a_file_behind_digest_is_read_whole(tmp_path: Path, name: str, cut: int | None) -> None:
    write_video(tmp_path / name, frames=30)
    with WebStreams(tmp_path) as server:
        server.locked, server.challenge = True, DIGEST
        server.cuts = [cut]
        url = server.url(name).replace("127.0.0.1", f"me:geheim@{OTHER_HOST}")
        source = network_source(url, timeout=5, reconnect_timeout=20)
        source.open()
        frames = list(iter(source.read, None))
        source.close()
    assert [frame.index for frame in frames] == list(range(30))
    assert {(given or "none").split()[0] for _, given in server.asked} == {"none", "Digest"}


def test_a_server_that_asks_for_no_password_gets_none(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=5)
    with WebStreams(tmp_path) as server:
        source = network_source(
            server.url("v.mp4").replace("127.0.0.1", f"me:geheim@{OTHER_HOST}"), reconnect_timeout=0
        )
        assert source.open().frame_count == 5
        source.close()
