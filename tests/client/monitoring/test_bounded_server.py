"""The server of the metrics page, and connections that ask for nothing."""

import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from stream_client.monitoring.bounded_server import BoundedServer
from stream_client.monitoring.prometheus import Metrics, MetricsServer

REQUEST = b"GET /metrics HTTP/1.0\r\n"


@pytest.fixture
def served() -> Iterator[MetricsServer]:
    with MetricsServer(Metrics([]), port=0) as server:
        yield server


def connected(url: str, stack: ExitStack) -> socket.socket:
    host, port = url.split("/")[2].split(":")
    return stack.enter_context(socket.create_connection((host, int(port)), timeout=20))


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as response:
        return str(response.read().decode())


@pytest.mark.parametrize("sent", [b"", b"G", REQUEST, REQUEST + b"X: " + b"a" * 60_000])
def test_connections_that_ask_for_nothing_keep_nobody_out(served: MetricsServer, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            connected(served.url, stack).sendall(sent)
        for _ in range(20):
            assert "stream_client_info" in scraped(served.url)
        assert threading.active_count() < 40


def test_the_oldest_connection_that_asks_for_nothing_makes_room(served: MetricsServer) -> None:
    with ExitStack() as stack:
        oldest, *_ = [connected(served.url, stack) for _ in range(BoundedServer.CONNECTIONS)]
        newest = connected(served.url, stack)
        assert oldest.recv(1) == b""
        newest.sendall(REQUEST + b"\r\n")
        assert newest.recv(12) == b"HTTP/1.0 200"


def test_malformed_requests_are_answered_or_cut(served: MetricsServer) -> None:
    for sent in (b"\0" * 70_000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"X: \r\n" * 200 + b"\r\n"):
        with ExitStack() as stack:
            connection = connected(served.url, stack)
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(65_536):
                    pass
            except ConnectionError:
                pass
    assert "stream_client_info" in scraped(served.url)


def test_a_page_that_is_closed_waits_for_no_connection() -> None:
    with ExitStack() as stack, MetricsServer(Metrics([]), port=0) as server:
        for _ in range(4):
            connected(server.url, stack)


CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
from stream_client.monitoring.prometheus import Metrics, MetricsServer
with MetricsServer(Metrics([]), port=0) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are limited on POSIX only")
def test_a_process_with_few_descriptors_keeps_most_of_them() -> None:
    command = [sys.executable, "-c", CHILD]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
        ExitStack() as stack,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        for _ in range(100):
            connected(url, stack)
        assert "process_open_fds" in scraped(url)
        child.stdin.close()
        assert child.wait(20) == 0
