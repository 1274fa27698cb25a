"""Connections that hold something back, are many, or break the protocol."""

import contextlib
import random
import socket
import time
from collections.abc import Iterator, Sequence

import grpc

from kserve_wire.fields import varint
from kserve_wire.messages import ModelInferRequest
from kserve_wire.names import method_path
from tests.support.graph_server import request
from tools.attacks.base import Attack, Figure
from tools.attacks.graph_server import MIB, UNLIMITED, AttackedServer, attacked_server, in_parallel
from tools.attacks.holding_proxy import holding_back

INFER = b"POST /v2/models/passThrough/infer HTTP/1.1\r\nHost: x\r\n"


def connect(address: str, data: bytes = b"") -> socket.socket:
    """A connection that has sent this. It may be cut off at any time."""
    host, _, port = address.rpartition(":")
    made = socket.create_connection((host, int(port)), 20)
    with contextlib.suppress(OSError):
        made.sendall(data)
    return made


def held_messages(short: bool) -> Sequence[Figure]:
    """Requests by gRPC whose last megabyte never comes."""
    size, number, seconds = (100, 6, 2) if short else (200, 16, 35)
    start = ModelInferRequest(model_name="nobody").SerializeToString()
    data = start + b"\x3a" + varint(size * MIB) + bytes(size * MIB)
    with attacked_server("--grpc_memory_quota", str(256 * MIB), "--max_sessions", "2") as server:
        with holding_back(server.grpc, (size - 1) * MIB) as address:
            channels = [grpc.insecure_channel(address, UNLIMITED) for _ in range(number)]
            methods: list[grpc.UnaryUnaryMultiCallable[bytes, bytes]] = [
                channel.unary_unary(method_path("ModelInfer")) for channel in channels
            ]
            calls = [method.future(data, timeout=600) for method in methods]
            time.sleep(seconds)
            for call in calls:
                call.cancel()
        for channel in channels:
            channel.close()
    # The quota, and what comes in between two looks at the connections.
    return server.figures(256 + 500)


def held_bodies(short: bool) -> Sequence[Figure]:
    """Requests by REST whose last megabyte never comes, and some that announce a body and send none."""
    size, number = (60, 8) if short else (200, 16)
    head = INFER + b"Inference-Header-Content-Length: 2\r\nContent-Length: %d\r\n\r\n" % (size * MIB)
    with attacked_server("--grpc_memory_quota", str(256 * MIB)) as server, contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(server.rest, head))
        in_parallel(number, lambda _: stack.enter_context(connect(server.rest, head + bytes((size - 1) * MIB))))
        time.sleep(1)
    return server.figures(256 * 1.25 + 100)


def slow_connections(short: bool) -> Sequence[Figure]:
    """Connections that send nothing, half a head or half a body, on both ports."""
    number = 300 if short else 1000
    parts = (b"", b"GET /v2/health/live HT", INFER + b"Content-Length: 100\r\n\r\n{", b"PRI * HTTP/2.0\r\n")
    with attacked_server() as server, contextlib.ExitStack() as stack:
        for index in range(number):
            for address in (server.rest, server.grpc):
                stack.enter_context(connect(address, parts[index % len(parts)]))
        time.sleep(2 if short else 20)
    return server.figures(200)


def smuggled(short: bool) -> Sequence[Figure]:
    """Requests whose length two readers could see differently: none of them may be answered with success."""
    bodies = [
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
        b"Content-Length: 2, 2\r\n\r\n{}",
        b"Content-Length : 2\r\n\r\n{}",
        b"Content-Length: +2\r\n\r\n{}",
        b"Content-Length: 0x2\r\n\r\n{}",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b" Content-Length: 2\r\n\r\n{}",
    ]
    taken = []
    with attacked_server() as server:
        for body in bodies:
            with connect(server.rest, b"POST /v1/config/reload HTTP/1.1\r\nHost: x\r\n" + body) as connection:
                connection.settimeout(5)
                if connection.recv(100)[9:10] not in (b"4", b"5"):
                    taken.append(body)
    return [*server.figures(100), Figure("requests of two lengths taken", len(taken), 0, "")]


def rubbish(short: bool) -> Sequence[Figure]:
    """Random bytes, and beginnings of sessions that break off, on both ports."""
    chance = random.Random(1)
    with attacked_server() as server:
        for _ in range(100 if short else 3000):
            data = chance.randbytes(chance.randint(0, 5000))
            start = chance.choice((b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST /v2 HTTP/1.1\r\n"))
            connect(chance.choice((server.grpc, server.rest)), start + data).close()
    return server.figures(100)


def sessions(short: bool) -> Sequence[Figure]:
    """64 sessions of 12 clients, beside 500 idle connections on each port: every frame is answered."""
    idle, frames = (100, 3) if short else (500, 30)
    answered = [0] * 12
    with attacked_server("--max_sessions", "80") as server, contextlib.ExitStack() as stack:
        for address in (server.rest, server.grpc):
            for _ in range(idle):
                stack.enter_context(connect(address))

        def client(index: int) -> None:
            answered[index] = run_sessions(server, 6 if index < 4 else 5, frames)

        in_parallel(12, client)
    lost = 64 * frames - sum(answered)
    return [*server.figures(1000), Figure("frames the 64 sessions lost", lost, 0, "")]


def run_sessions(server: AttackedServer, number: int, frames: int) -> int:
    """Open sessions over one connection, which all stay open to the end; the number of answers."""

    def requests() -> Iterator[bytes]:
        for timestamp in range(frames):
            yield request(timestamp).SerializeToString()
            time.sleep(0.1)

    with grpc.insecure_channel(server.grpc, UNLIMITED) as channel:
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method_path("ModelStreamInfer"))
        calls = [stream(requests()) for _ in range(number)]
        return sum(1 for call in calls for _ in call)


ATTACKS = (
    Attack("messages held back", "server", held_messages),
    Attack("bodies held back", "server", held_bodies),
    Attack("slow connections", "server", slow_connections),
    Attack("requests of two lengths", "server", smuggled),
    Attack("rubbish", "server", rubbish),
    Attack("many sessions", "server", sessions),
)
