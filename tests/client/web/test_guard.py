"""Who gets an answer: tokens, hosts, origins, sizes."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from stream_client.web.options import WebOptions
from tests.support.web_application import Application, web_application


@pytest.fixture
def local() -> Iterator[Application]:
    """On loopback, where no token is needed."""
    with web_application() as application:
        yield application


@pytest.fixture
def guarded() -> Iterator[Application]:
    """With a token."""
    with web_application(options=WebOptions(port=0, require_token=True)) as application:
        yield application


def status(application: Application, path: str = "/api/health", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(application.url + path, headers=named, timeout=20).status_code


def test_the_page_comes_without_inline_scripts_and_from_this_host_alone(local: Application) -> None:
    answer = local.http.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "access-control-allow-origin" not in answer.headers


def test_other_hosts_are_refused(local: Application) -> None:
    port = local.url.rpartition(":")[2]
    assert status(local, Host=f"localhost:{port}") == 200
    for host in (f"evil.example:{port}", "evil.example", "", "127.0.0.1.evil.example", "[::1", "10.1.2.3"):
        assert status(local, Host=host) == 421
        assert status(local, "/", Host=host) == 421


def test_other_origins_are_refused(local: Application) -> None:
    assert status(local, Origin=local.url) == 200
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "file://",
        "http://localhost@evil.example",
        "http://[",
    ):
        assert status(local, Origin=origin) == 403
    assert status(local, Origin="http://[", Host="localhost:99999") == 403  # neither is a place: they are not the same
    assert status(local, sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert status(local, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200


def test_without_the_token_only_the_page_is_served(guarded: Application) -> None:
    assert status(guarded, "/") == 200
    for path in ("/api/health", "/api/openapi.json", "/metrics", "/api/streams", "/api/session/../health"):
        assert status(guarded, path) == 401
    assert status(guarded, Authorization="Bearer wrong") == 401
    assert status(guarded, Cookie=f"{guarded.state.access.cookie_name}=wrong") == 401
    assert status(guarded, Authorization=f"Bearer {guarded.state.access.token}") == 200


def test_the_token_becomes_a_cookie_that_scripts_cannot_read(guarded: Application) -> None:
    token = guarded.state.access.token
    assert httpx.post(f"{guarded.url}/api/session", json={"token": "wrong"}, timeout=20).status_code == 401
    with httpx.Client(base_url=guarded.url, timeout=20) as browser:
        answer = browser.post("/api/session", json={"token": token})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert token not in cookie
        assert browser.get("/api/health").status_code == 200


def test_a_body_beyond_the_bound_is_refused_whether_or_not_it_says_its_length(local: Application) -> None:
    huge = b"x" * (1 << 20) + b"x"
    assert local.http.post("/api/session", content=huge).status_code == 413
    assert local.http.post("/api/session", content=iter([huge[:500_000]] * 3)).status_code == 413
    assert status(local) == 200


@pytest.mark.parametrize("path", ["/../options.py", "/%2e%2e/options.py", "/..%2foptions.py", "//etc/passwd", "/%00"])
def test_no_file_outside_of_the_page_is_served(local: Application, path: str) -> None:
    with socket.create_connection(("127.0.0.1", int(local.url.rpartition(":")[2])), timeout=5) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert raw.makefile("rb").readline().split()[1] == b"404"
