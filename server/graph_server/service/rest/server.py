"""The REST port. One thread moves the bytes of all connections, others answer."""

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from graph_server.service.admission import Budget
from graph_server.service.rest.answers import HttpResponse, RestAnswers, failed
from graph_server.service.rest.connection import HttpConnection, HttpLimits, HttpRequest

logger = logging.getLogger(__name__)

_QUICK_WORKERS = 2
"""Threads for health, metadata and metrics, which never wait for a thread that infers."""
_SPARE_CONNECTIONS = 256
"""Connections at once beyond those whose requests are answered."""

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class RestServer:
    """Owns the thread of the connections and the threads that answer: ``workers`` of them infer.

    Idle and slow clients hold a connection, not a thread. When all places are taken, a new client gets the place of the
    client that has been idle longest. Raises :class:`OSError` for an address that cannot be bound.
    """

    def __init__(
        self, hosts: Sequence[str], port: int, answers: RestAnswers, limits: HttpLimits, *, workers: int
    ) -> None:
        """``hosts``: addresses, all of them with the port of the first."""
        self._sockets = _listen_all(hosts, port)
        self._answers = answers
        self._limits = limits
        self._places = workers + _SPARE_CONNECTIONS
        self._calls = Budget(workers, "Too many REST calls are under way", "--rest_workers")
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="rest call")
        self._quick_workers = ThreadPoolExecutor(_QUICK_WORKERS, thread_name_prefix="rest quick call")
        self._connections: dict[asyncio.Task[None], HttpConnection] = {}
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="rest")

    @property
    def address(self) -> str:
        """The first ``host:port`` that is bound; an address of IPv6 in brackets."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Close every connection, and wait for the answers in progress."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        for listening in self._sockets:
            listening.close()
        for pool in (self._workers, self._quick_workers):
            pool.shutdown()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        accepting = [asyncio.create_task(self._accept(listening)) for listening in self._sockets]
        await self._ended.wait()
        tasks = [*accepting, *self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(listening)
            except OSError as error:  # there is no descriptor left
                if not self._make_room():
                    logger.warning("REST: no connection can be accepted: %s", error)
                await asyncio.sleep(0.1)
                continue
            if len(self._connections) >= self._places and not self._make_room():
                with client, suppress(OSError):  # it may not even read
                    client.send(_BUSY)
                continue
            connection = HttpConnection(client, self._limits, self._answer)
            self._connections[asyncio.create_task(self._serve_client(client, connection))] = connection

    async def _serve_client(self, client: socket.socket, connection: HttpConnection) -> None:
        try:
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await connection.serve()
        except (OSError, asyncio.CancelledError):
            pass  # the client has gone, or it was cut off
        except Exception:
            logger.exception("REST: a connection ended")
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._connections.pop(task, None)

    def _make_room(self) -> bool:
        """Disconnect the client that has been idle longest. False if all wait for answers."""
        since = {task: item.waiting_since for task, item in self._connections.items() if item.waiting_since is not None}
        if not since:
            return False
        longest = min(since, key=since.__getitem__)
        self._connections.pop(longest)
        longest.cancel()
        return True

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        loop = asyncio.get_running_loop()
        if request.method != "POST":
            return await loop.run_in_executor(self._quick_workers, self._answer_now, request)
        with self._calls.take():
            return await loop.run_in_executor(self._workers, self._answer_now, request)

    def _answer_now(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._answers.answer(request.method, request.target, request.headers, request.body)
        except Exception:
            logger.exception("REST: %s %s", request.method, request.target)
            return failed(500, "Internal server error")


def _listen_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for host in hosts:
            made.append(_listen(host, made[0].getsockname()[1] if made else port))
    except OSError:
        for listening in made:
            listening.close()
        raise
    return made


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
