"""``web`` of the command line, in a process of its own."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from stream_client.cli.command import main
from stream_client.web.access import TOKEN_VARIABLE


@contextmanager
def web(*flags: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process, and the address that it prints."""
    command = [sys.executable, "-m", "stream_client", "web", "--port", "0", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, **environment}, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip().removeprefix("web: ")
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_ends_at_a_signal(pass_through_server: str, number: signal.Signals) -> None:
    with web("--grpc_address", pass_through_server) as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        assert "ovms-stream-client" in httpx.get(url, timeout=30).text
        settings = {"input_stream": "testsrc:320x180", "model_name": "passThrough"}
        assert httpx.post(f"{url}api/streams", json=settings, timeout=30).status_code == 201
        with httpx.stream("GET", f"{url}api/streams/s1/events", timeout=30) as events:
            parts = events.iter_raw()
            next(parts)
            process.send_signal(number)
            for _ in parts:  # an answer that is cut, and not ended, is an error
                pass
            assert process.wait(30) == 128 + number
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_beyond_loopback_it_asks_for_the_token_and_says_what_a_camera_needs() -> None:
    token = "a token of sixteen characters"
    with web("--host", "0.0.0.0", "--grpc_address", "localhost:1", **{TOKEN_VARIABLE: token}) as (process, url):
        port = re.search(r":(\d+)/", url)
        assert port is not None
        assert url.endswith(f"/#token={token}")
        with httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=30) as local:
            assert local.get("/").status_code == 200
            assert local.get("/api/health").status_code == 401
            assert local.get("/api/health", headers={"Authorization": f"Bearer {token}"}).status_code == 200
            assert local.get("/", headers={"Host": "evil.example"}).status_code == 421
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert "HTTPS" in said
        assert token not in said


def test_it_serves_https_with_a_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    subprocess.run([*made, *names, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    flags = ("--grpc_address", "localhost:1", "--tls_cert", str(certificate), "--tls_key", str(key))
    with web(*flags) as (_, url):
        assert url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=str(certificate))
        assert httpx.get(url, verify=trusted, timeout=30).status_code == 200


def test_what_cannot_work_is_one_line_and_status_two(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for flags, said in (
            (("--port", port), "Address already in use (--port)"),
            (("--port", "70000"), "--port"),
            (("--tls_cert", "cert.pem"), "(--tls_key)"),
            (("--media_dir", str(tmp_path / "none")), "(--media_dir)"),
            (("--grpc_address", "nowhere"), "(--grpc_address)"),
            (("--host", "no such host"), "cannot listen"),
        ):
            assert main(["web", *flags]) == 2
            error = capsys.readouterr().err
            assert said in error
            assert error.count("\n") == 1
