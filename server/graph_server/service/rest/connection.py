"""One HTTP/1.1 connection: h11 speaks the protocol, asyncio moves the bytes.

A body that is too large is refused before it is read. One in chunks, and one beyond the memory quota, is refused when
the limit is reached.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11

import graph_server
from graph_server.service.admission import Budget, Reservation
from graph_server.service.rest.answers import HttpResponse, failed
from graph_server.service.status import Refusal
from kserve_wire.joining import LARGE, joined

_HEAD_BYTES = 65536
_PART_BYTES = 1 << 20
_LENGTHS = re.compile(rb"(?im)^content-length[ \t]*:([^\r\n]*)")
_FOLDED = re.compile(rb"\n[ \t]")
_LINGER_SECONDS = 1.0
_TOO_LARGE = "the request is too large"
_JSON_TOO_LARGE = "the JSON is too large: send tensors as binary data"
_JSON_LENGTH = "inference-header-content-length"
_SERVER = f"graph_server/{graph_server.__version__}"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A whole request; the names of ``headers`` are in lower case, ``target`` is as it was sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | bytearray


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of every connection. All share ``bodies``: the received bytes of open requests.

    ``json_bytes`` is the most JSON in a request, ``body_bytes`` with what follows it in binary.

    A client is disconnected when it is silent for ``idle_seconds``, takes that long to read an answer, or takes
    ``request_seconds`` to send a request.
    """

    bodies: Budget
    body_bytes: int
    json_bytes: int
    idle_seconds: float = 30.0
    request_seconds: float = 120.0


class HttpConnection:
    """Serves the requests of one client, one after another. The socket is non-blocking; its owner closes it."""

    def __init__(
        self, client: socket.socket, limits: HttpLimits, answer: Callable[[HttpRequest], Awaitable[HttpResponse]]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.waiting_since: float | None = self._loop.time()
        """The loop's time when the wait for the client began, ``None`` while a request is answered."""
        self._socket = client
        self._limits = limits
        self._answer = answer
        self._timer: asyncio.TimerHandle | None = None
        self._protocol = h11.Connection(h11.SERVER)
        self._received = b""  # of the next request

    async def serve(self) -> None:
        """Serve until the client leaves or breaks the protocol.

        Raises :class:`OSError` for a client that is lost, :class:`asyncio.CancelledError` for one that is too slow.
        """
        try:
            while await self._serve_one():
                pass
        finally:
            self._expect(None)

    async def _serve_one(self) -> bool:
        """Whether another request may follow."""
        self.waiting_since = self._loop.time()
        deadline = self.waiting_since + self._limits.request_seconds
        # h11 would copy a body three times. So it reads only heads, with a new h11 connection for each request.
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        try:
            head = await self._read_head(deadline)
        except h11.RemoteProtocolError as error:
            return await self._refuse(error.error_status_hint, str(error))
        if head is None:
            return False
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        length = int(headers.get("content-length", "0"))
        chunked = "transfer-encoding" in headers
        if chunked and "content-length" in headers:
            return await self._refuse(400, "Transfer-Encoding and Content-Length exclude each other")
        if length > self._limits.body_bytes:
            return await self._refuse(413, _TOO_LARGE)
        if min(length, _json_bytes(headers, length)) > self._limits.json_bytes:
            return await self._refuse(413, _JSON_TOO_LARGE)
        try:
            with self._limits.bodies.reserve() as memory:
                body: bytes | bytearray | None
                if chunked:
                    body = await self._read_chunks(self._most(headers), memory, deadline)
                else:
                    body = await self._read_body(length, memory, deadline)
                if body is None:
                    return await self._refuse(413, _TOO_LARGE)
                self._expect(None)
                self.waiting_since = None
                request = HttpRequest(head.method.decode(), head.target.decode("latin-1"), headers, body)
                await self._send(await self._answer(request), with_body=head.method != b"HEAD")
            return self._protocol.our_state is h11.DONE
        except h11.RemoteProtocolError as error:
            status, text = error.error_status_hint, str(error)
        except Refusal as refusal:
            status, text = 503, str(refusal)
        return await self._refuse(status, text)  # out here, where no error keeps what was read

    async def _read_head(self, deadline: float) -> h11.Request | None:
        """The head of the next request; ``None`` when the client has left."""
        received, self._received = self._received, b""
        if received:
            self._protocol.receive_data(received)
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._expect(min(deadline - self._loop.time(), self._limits.idle_seconds))
            data = await self._loop.sock_recv(self._socket, _HEAD_BYTES)
            received += data
            self._protocol.receive_data(data)
        if not isinstance(event, h11.Request):
            return None
        after, _ = self._protocol.trailing_data
        _check_unambiguous(received[: len(received) - len(after)])
        return event

    async def _read_chunks(self, most: int, memory: Reservation, deadline: float) -> bytearray | None:
        """A body in chunks; ``None`` for one of more than ``most`` bytes."""
        await self._continue()
        body = bytearray()
        while not isinstance(event := self._protocol.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                if len(body) + len(event.data) > most:
                    return None
                memory.grow(len(event.data))
                body += event.data
                continue
            self._expect(min(deadline - self._loop.time(), self._limits.idle_seconds))
            received = await self._loop.sock_recv(self._socket, _HEAD_BYTES)
            if not received:
                raise ConnectionResetError("the client left in the middle of a request")
            self._protocol.receive_data(received)
            await asyncio.sleep(0)  # a fast client leaves others their turn
        self._received, _ = self._protocol.trailing_data
        return body

    async def _continue(self) -> None:
        if self._protocol.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    async def _read_body(self, length: int, memory: Reservation, deadline: float) -> bytes:
        await self._continue()
        begun, _ = self._protocol.trailing_data
        self._received = begun[length:]
        parts: list[bytes | bytearray] = [begun[:length]]
        received = len(parts[0])
        memory.grow(received)
        while received < length:
            part = bytearray(min(length - received, max(_HEAD_BYTES, min(received, _PART_BYTES))))
            await self._fill(memoryview(part), memory, deadline)
            parts.append(part)
            received += len(part)
        if received < LARGE:
            return b"".join(parts)
        return await self._loop.run_in_executor(None, joined, parts)

    async def _fill(self, part: memoryview, memory: Reservation, deadline: float) -> None:
        while part:
            self._expect(min(deadline - self._loop.time(), self._limits.idle_seconds))
            count = await self._loop.sock_recv_into(self._socket, part)
            if not count:
                raise ConnectionResetError("the client left in the middle of a request")
            memory.grow(count)
            part = part[count:]
            await asyncio.sleep(0)  # a fast client leaves others their turn

    def _most(self, headers: Mapping[str, str]) -> int:
        """Bytes of a body of unknown length."""
        return self._limits.body_bytes if _JSON_LENGTH in headers else self._limits.json_bytes

    async def _refuse(self, status: int, text: str) -> bool:
        """Send an error, and read on: the client may still send before it sees the error and leaves."""
        await self._send(failed(status, text), closing=True)
        self._socket.shutdown(socket.SHUT_WR)
        self._expect(_LINGER_SECONDS)
        while await self._loop.sock_recv(self._socket, _HEAD_BYTES):
            pass
        return False

    async def _send(self, response: HttpResponse, *, with_body: bool = True, closing: bool = False) -> None:
        self.waiting_since = self._loop.time()
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("Date", formatdate(usegmt=True)),
            ("Server", _SERVER),
            *response.headers.items(),
        ]
        if closing:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(response.status).phrase
        await self._write(
            h11.Response(status_code=response.status, headers=headers, reason=reason),
            *([h11.Data(data=response.body)] if with_body else []),
            h11.EndOfMessage(),
        )

    async def _write(self, *events: h11.Event) -> None:
        parts = [data for event in events if (data := self._protocol.send(event))]
        if sum(map(len, parts)) < _HEAD_BYTES:
            parts = [b"".join(parts)]
        self._expect(self._limits.idle_seconds)
        for part in parts:
            await self._loop.sock_sendall(self._socket, part)

    def _expect(self, seconds: float | None) -> None:
        """Disconnect the client after that time. One timer costs less than :func:`asyncio.wait_for` at each read."""
        if self._timer is not None:
            self._timer.cancel()
        task = asyncio.current_task()
        assert task is not None
        self._timer = None if seconds is None else self._loop.call_later(seconds, task.cancel)


def _check_unambiguous(head: bytes) -> None:
    """Refuse what h11 takes, and what a proxy before it may read differently. Raises ``RemoteProtocolError``."""
    lengths = _LENGTHS.findall(head)
    if len(lengths) > 1 or any(b"," in value for value in lengths):
        raise h11.RemoteProtocolError("more than one Content-Length")
    if _FOLDED.search(head):
        raise h11.RemoteProtocolError("a header that goes on in the next line")


def _json_bytes(headers: Mapping[str, str], length: int) -> int:
    """How much of a body is JSON: all of it, unless the header of KServe's binary extension says less."""
    given = headers.get(_JSON_LENGTH, "")
    return int(given) if given.isdecimal() and len(given) < 20 else length
