"""What the REST port makes of clients: many, idle, slow, vanishing, and those that break the protocol."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from graph_server.service.admission import Budget, Limits
from graph_server.service.rest.answers import HttpResponse
from graph_server.service.rest.connection import HttpLimits
from graph_server.service.rest.server import RestServer
from tests.support.graph_server import graph_server, http

SECONDS = 20.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Answers:
    """Answers a GET at once, a POST with its own body once ``let_go`` is set."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.entered = threading.Semaphore(0)

    def answer(self, method: str, target: str, headers: Any, body: bytes | bytearray) -> HttpResponse:
        if method != "POST":
            return HttpResponse(200, b"answered")
        self.entered.release()
        assert self.let_go.wait(SECONDS)
        return HttpResponse(200, bytes(body))


class Server:
    """A REST port with ``answers``."""

    def __init__(self, answers: Answers, port: RestServer) -> None:
        self.answers = answers
        self._port = port

    @property
    def address(self) -> str:
        return self._port.address

    def connect(self, data: bytes = b"") -> socket.socket:
        host, _, port = self.address.rpartition(":")
        made = socket.create_connection((host, int(port)), SECONDS)
        made.sendall(data)
        return made

    def get(self) -> bytes:
        return http(self.address, "GET", "/")[2]


@contextmanager
def serving(*, body_bytes: int = 1000, **seconds: float) -> Iterator[Server]:
    """A REST port with two workers and memory for one body of ``body_bytes``."""
    answers: Any = Answers()
    bodies = Budget(body_bytes, "Too many bytes", "--grpc_memory_quota")
    port = RestServer(("127.0.0.1",), 0, answers, HttpLimits(bodies, body_bytes, body_bytes, **seconds), workers=2)
    port.start()
    try:
        yield Server(answers, port)
    finally:
        answers.let_go.set()
        port.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    with connection, connection.makefile("rb") as reader:
        return reader.read()


def test_requests_of_one_connection_are_answered_in_order_even_when_sent_at_once(server: Server) -> None:
    server.answers.let_go.set()
    bodies = [b"first", b"second", b"third"]
    requests = [POST + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies]
    with server.connect(b"".join(requests)) as connection:
        connection.shutdown(socket.SHUT_WR)
        answered = received(connection)
    assert answered.count(b"HTTP/1.1 200 OK") == 3
    assert [answered.index(body) for body in bodies] == sorted(answered.index(body) for body in bodies)


def test_a_body_may_come_in_chunks_and_another_request_after_it(server: Server) -> None:
    server.answers.let_go.set()
    chunks = b"5\r\nfirst\r\n6;x=y\r\n chunk\r\n0\r\n\r\n"
    with server.connect(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks[:9]) as connection:
        connection.sendall(chunks[9:] + POST + b"Content-Length: 6\r\n\r\nsecond")
        connection.shutdown(socket.SHUT_WR)
        answered = received(connection)
    assert answered.count(b"HTTP/1.1 200 OK") == 2
    assert answered.index(b"first chunk") < answered.index(b"second")


def test_chunks_beyond_the_memory_for_bodies_are_refused() -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"
    with serving(body_bytes=8) as server, server.connect(POST + b"Content-Length: 6\r\n\r\n123456"):
        assert server.answers.entered.acquire(timeout=SECONDS)  # its body holds memory until it is answered
        with server.connect(chunked) as connection:
            assert received(connection).startswith(b"HTTP/1.1 503 ")


def test_a_head_is_answered_without_a_body(server: Server) -> None:
    with server.connect(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") as connection:
        answered = received(connection)
    assert b"\r\nContent-Length: 8\r\n" in answered
    assert answered.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\xff\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n", 431),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
        (POST + b"Content-Length: 2\r\nX: y\r\ncontent-length:2\r\n\r\nab", 400),
        (POST + b"Content-Length: 2, 2\r\n\r\nab", 400),
        (POST + b"Content-Length : 2\r\n\r\nab", 400),
        (POST + b" Content-Length: 2\r\n\r\nab", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (POST + b"Content-Length: 99999999999\r\n\r\n", 413),
        (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + 2000 * (b"1000\r\n" + bytes(4096) + b"\r\n"), 413),
    ],
)
def test_what_is_no_request_or_too_large_is_refused_and_the_connection_closed(
    server: Server, request_bytes: bytes, status: int
) -> None:
    with server.connect(request_bytes) as connection:
        answered = received(connection)
    assert answered.startswith(b"HTTP/1.1 %d " % status)
    assert answered.count(b"HTTP/1.1") == 1
    assert b'{"error": "' in answered
    assert server.get() == b"answered"


def test_a_client_that_sends_on_sees_that_its_body_is_too_large(server: Server) -> None:
    with server.connect(POST + b"Content-Length: 5000000\r\n\r\n") as connection:
        connection.sendall(bytes(5_000_000))
        assert received(connection).startswith(b"HTTP/1.1 413 ")


def test_idle_and_slow_connections_of_any_number_leave_room_for_the_next_client(server: Server) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(server.connect(b"" if index % 2 else b"GET / HT")) for index in range(400)]
        assert server.get() == b"answered"
        # The first are cut off for the later ones.
        assert silent[0].recv(1) == b""


def test_while_all_workers_infer_health_is_answered_and_further_inferences_are_refused(server: Server) -> None:
    request = POST + b"Content-Length: 4\r\n\r\nbody"
    with ExitStack() as stack:
        inferring = [stack.enter_context(server.connect(request)) for _ in range(2)]
        for _ in inferring:
            assert server.answers.entered.acquire(timeout=SECONDS)
        assert server.get() == b"answered"
        refused = received(stack.enter_context(server.connect(request)))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Too many REST calls are under way; the limit is 2 (--rest_workers)" in refused
        server.answers.let_go.set()
        for connection in inferring:
            assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_client_that_sends_a_byte_now_and_then_is_cut_off() -> None:
    with serving(request_seconds=1.0) as server, server.connect() as slow:
        slow.settimeout(0.05)
        assert server.get() == b"answered"
        while True:
            try:
                slow.sendall(b"G")
                if not slow.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert server.get() == b"answered"


def test_a_client_that_does_not_read_is_cut_off_and_its_bytes_are_free_again() -> None:
    size = 30_000_000
    with serving(body_bytes=size, idle_seconds=3.0) as server:
        server.answers.let_go.set()
        request = POST + b"Content-Length: %d\r\n\r\n" % size + bytes(size)
        with server.connect(request):
            assert server.answers.entered.acquire(timeout=SECONDS)
            refused = received(server.connect(request))
            assert b"the limit is 30000000 (--grpc_memory_quota)" in refused
            answered = b""
            while not answered.startswith(b"HTTP/1.1 200 "):
                answered = received(server.connect(POST + b"Content-Length: 1\r\nConnection: close\r\n\r\nx"))


def test_bodies_together_have_the_memory_quota_and_one_beyond_it_is_told_503() -> None:
    with graph_server(rest_port=0, limits=Limits(memory_bytes=1000)) as server:
        host, _, port = str(server.rest_address).rpartition(":")
        infer = b"POST /v2/models/passThrough/infer HTTP/1.1\r\nHost: x\r\n"
        binary = b"Inference-Header-Content-Length: 2\r\n"
        with socket.create_connection((host, int(port)), SECONDS) as slow:
            slow.sendall(infer + binary + b"Expect: 100-continue\r\nContent-Length: 900\r\n\r\n")
            assert slow.makefile("rb").readline() == b"HTTP/1.1 100 Continue\r\n"
            slow.sendall(bytes(899))
            path, size = "/v2/models/passThrough/infer", "2"
            status, _, answer = http(
                server.rest_address, "POST", path, b" " * 900, Inference_Header_Content_Length=size
            )
            assert status == 503
            assert b"the limit is 1000 (--grpc_memory_quota)" in answer
            assert http(server.rest_address, "GET", "/v2/health/live")[0] == 200


def test_announced_bodies_keep_nobody_out() -> None:
    """Only what has come counts."""
    with serving(body_bytes=1000) as server, ExitStack() as stack:
        server.answers.let_go.set()
        for _ in range(20):
            stack.enter_context(server.connect(POST + b"Content-Length: 1000\r\n\r\n"))
        answered = received(server.connect(POST + b"Content-Length: 900\r\nConnection: close\r\n\r\n" + bytes(900)))
        assert answered.startswith(b"HTTP/1.1 200 ")


def test_json_that_would_fill_the_memory_is_refused_before_it_is_read() -> None:
    with graph_server(rest_port=0, limits=Limits(memory_bytes=1 << 20)) as server:
        host, _, port = str(server.rest_address).rpartition(":")
        infer = b"POST /v2/models/passThrough/infer HTTP/1.1\r\nHost: x\r\n"
        with socket.create_connection((host, int(port)), SECONDS) as client:
            client.sendall(infer + b"Content-Length: 300000\r\n\r\n")
            assert client.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"1.5,", b'"a",', b'{"a":[]},'])
def test_json_is_refused_for_what_it_becomes_in_memory(unit: bytes) -> None:
    body = b'{"inputs":[{"name":"image","datatype":"FP32","shape":[1],"data":[' + unit * 20_000 + b"1]}]}"
    with graph_server(rest_port=0, limits=Limits(memory_bytes=1 << 20)) as server:
        status, _, answer = http(server.rest_address, "POST", "/v2/models/passThrough/infer", body)
        assert status == 503
        assert b"Too many bytes of memory for JSON are asked for" in answer


def test_silent_clients_do_not_hold_up_the_end() -> None:
    with ExitStack() as clients, serving(idle_seconds=1000.0, request_seconds=1000.0) as server:
        for data in (b"", b"GET", POST + b"Content-Length: 9\r\n\r\n"):
            clients.enter_context(server.connect(data))
        kept = clients.enter_context(server.connect(GET))
        assert kept.recv(15) == b"HTTP/1.1 200 OK"
