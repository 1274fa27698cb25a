"""What a network source says of a server's refusal, over a real HTTP server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream_client.errors import SourceAuthenticationError, SourceCodecError, SourceError, SourceNotFoundError
from stream_client.sources.network import network_source
from stream_client.util.redact import redact


class _Status(BaseHTTPRequestHandler):
    """Answers ``/404`` with status 404 and an empty body, and so on."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Status)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, SourceAuthenticationError),
        (403, SourceAuthenticationError),
        (404, SourceNotFoundError),
        (200, SourceCodecError),
    ],
)
def test_a_refusal_has_its_own_error_without_the_password(port: int, status: int, kind: type[SourceError]) -> None:
    source = network_source(f"http://user:geheim@127.0.0.1:{port}/{status}", timeout=20, reconnect_timeout=0)
    with pytest.raises(kind) as caught:
        source.open()
    source.close()
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_with_an_at_sign_is_redacted_whole() -> None:
    assert redact("rtsp://me:p@ss@host/x") == "rtsp://***@host/x"
