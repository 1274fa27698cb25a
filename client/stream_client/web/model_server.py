"""The model server that all streams and sessions share: one that is there, or one graph server of our own."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from stream_client.embedded import EmbeddedServer
from stream_client.errors import StreamClientError
from stream_client.transport.options import TransportOptions

ServerState = Literal["starting", "ready", "failed", "remote"]


class ModelServer:
    """A context manager, which starts the embedded server in the background and ends it. Safe across threads.

    ``transport`` is how to reach the server. With ``embedded`` its address is that server's.
    """

    LOOK_SECONDS = 1.0
    """Seconds between looks whether the embedded server has ended. Streams reconnect once it is there again."""

    def __init__(self, transport: TransportOptions, embedded: EmbeddedServer | None = None) -> None:
        self._transport = transport
        self._embedded = embedded
        self._state: ServerState = "remote" if embedded is None else "starting"
        self._problem = ""
        self._ended = threading.Event()
        self._settled = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._start, name="model server")

    def __enter__(self) -> "ModelServer":
        if self._embedded is None:
            self._settled.set()
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._embedded is not None:
            self._embedded.interrupt()
            self._thread.join()
            self._embedded.close()

    @property
    def state(self) -> ServerState:
        """``remote``: a server at an address of the user's, which each stream connects to by itself."""
        return self._state

    @property
    def problem(self) -> str:
        """Why the embedded server failed, in one line; empty otherwise."""
        return self._problem

    @property
    def label_files(self) -> Mapping[str, Path]:
        """Files with label names that came with the embedded server, by servable."""
        return self._embedded.label_files if self._embedded is not None else {}

    def transport(self, **changes: object) -> TransportOptions:
        """How to reach the server, with other fields of the options. Waits for the embedded server, and starts it again
        if it has ended. Raises :class:`.StreamClientError` if it does not start.
        """
        self._settled.wait()
        options = self._transport
        if self._embedded is not None:
            self._revive()
            options = replace(options, address=self._embedded.address)
        return replace(options, **changes)  # type: ignore[arg-type]

    def _start(self) -> None:
        """Start the embedded server, and start it again whenever it has ended."""
        assert self._embedded is not None
        while not self._ended.is_set():
            if self._state != "ready" or self._embedded.exit_status is not None:
                with suppress(StreamClientError):  # noted as the problem
                    self._revive()
            self._settled.set()
            self._ended.wait(self.LOOK_SECONDS)

    def _revive(self) -> None:
        assert self._embedded is not None
        with self._lock:
            try:
                self._embedded.revive()
            except StreamClientError as error:
                self._state, self._problem = "failed", error.message
                raise
            self._state, self._problem = "ready", ""
