"""Connections to the client's metrics page that ask for nothing."""

import re
import socket
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack

from tests.support.kserve_server import ScriptedServer
from tools.attacks.attacked_client import AttackedClient, attacked_client, figures
from tools.attacks.base import Attack, Figure

SCRAPE_SECONDS = 2.0


def idle_connections(short: bool) -> Sequence[Figure]:
    """Idle and slow connections, to a client with few descriptors whose model server is lost meanwhile."""
    number = 100 if short else 500
    with ScriptedServer() as server, ExitStack() as stack:
        flags = ("--grpc_address", server.address, "--model_name", "graph", "--metrics_port", "0")
        live = ("--input_stream", "testsrc@30", "--output_stream", "none")
        with attacked_client(*flags, *live, descriptors=64) as client:
            host, port = _page(client)
            for sent in (b"", b"GET /metrics HTTP/1.0\r\nX: "):
                for _ in range(number // 2):
                    connection = stack.enter_context(socket.create_connection((host, port), timeout=20))
                    connection.sendall(sent)
            longest = max(_scraped(host, port) for _ in range(5))
            server.stop()
            time.sleep(1)
            server.start()
            back = server.sessions
            deadline = time.monotonic() + 15
            while server.sessions == back and time.monotonic() < deadline:
                time.sleep(0.1)
            running = client.process.poll() is None
    return [
        *figures([client]),
        Figure("wait for the metrics page", longest, SCRAPE_SECONDS, "s"),
        Figure("runs that did not reconnect", float(not running or server.sessions == back), 0, ""),
    ]


def _page(client: AttackedClient) -> tuple[str, int]:
    deadline = time.monotonic() + 30
    while (found := re.search(r"metrics: http://([\d.]+):(\d+)/", client.text)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no metrics page: {client.text}")
        time.sleep(0.1)
        client.read()
    return found[1], int(found[2])


def _scraped(host: str, port: int) -> float:
    begun = time.monotonic()
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=30) as response:
        response.read()
    return time.monotonic() - begun


ATTACKS = (Attack("idle connections to the metrics page", "client", idle_connections),)
