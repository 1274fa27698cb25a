"""The web application on a real port of loopback, in a thread."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from stream_client.cli.train_command import train_command
from stream_client.web.application import create
from stream_client.web.model_server import ModelServer
from stream_client.web.options import WebOptions
from stream_client.web.parts import open_state
from stream_client.web.serving import UNREAD_SECONDS, WebServer, listen
from stream_client.web.state import State
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Application:
    """``url`` is its address without the token; ``http`` is a client of it."""

    state: State
    url: str
    http: httpx.Client


@contextmanager
def web_application(
    server: str = "127.0.0.1:1", options: WebOptions | None = None, *, unread_seconds: float = UNREAD_SECONDS
) -> Iterator[Application]:
    """An application, whose streams use the model server at that address. It has to end within two seconds."""
    options = options or WebOptions(port=0)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(options, unread_seconds=unread_seconds))
        port = listener.getsockname()[1]
        state = stack.enter_context(open_state(options, port, ModelServer({"grpc_address": server}), train_command))
        web = WebServer(create(state), options, state.streams.stop)
        thread = threading.Thread(target=lambda: asyncio.run(web.serve([listener])), name="web")
        thread.start()
        try:
            wait_until(lambda: web.started)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
                yield Application(state, f"http://127.0.0.1:{port}", http)
        finally:
            web.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
