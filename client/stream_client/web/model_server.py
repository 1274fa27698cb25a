"""The model server that all streams and sessions share: one that is there, or one graph server of our own."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from stream_client.embedded import EmbeddedServer
from stream_client.errors import ServerStartError, StreamClientError
from stream_client.run_settings import run_transport, transport_options
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import KNOWN_GRAPHS
from stream_client.util.backoff import Backoff
from stream_client.util.settings import Settings

ServerState = Literal["starting", "ready", "failed", "remote"]


class ModelServer:
    """A context manager, which starts the embedded server in the background and ends it. Safe across threads.

    ``given`` are the settings of a run that say how to reach the server. ``embedded`` has its own address.
    """

    LOOK_SECONDS = 1.0
    """Seconds between looks whether the embedded server has ended. Streams reconnect once it is there again."""

    def __init__(self, given: Settings, embedded: EmbeddedServer | None = None) -> None:
        self._given = dict(given)
        self._transport = transport_options(given)
        self._embedded = embedded
        self._state: ServerState = "remote" if embedded is None else "starting"
        self._problem = ""
        self._ended = threading.Event()
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="model server")

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
    def servables(self) -> tuple[str, ...]:
        """The embedded server's servables; empty where another server is used."""
        return self._embedded.servables if self._embedded is not None else ()

    @property
    def label_files(self) -> Mapping[str, Path]:
        """Files with label names that came with the embedded server, by servable."""
        return self._embedded.label_files if self._embedded is not None else {}

    def wait(self, seconds: float) -> bool:
        """Wait until the embedded server is ready or has failed; whether it is so within ``seconds``."""
        return self._settled.wait(seconds)

    def transport(self, **changes: object) -> TransportOptions:
        """How to reach the server, with other fields of the options. Waits for the embedded server. Raises
        :class:`.ServerStartError` if it has failed.
        """
        options = replace(self._transport, address=self._address())
        return replace(options, **changes)  # type: ignore[arg-type]

    def complete(self, given: Settings) -> Settings:
        """The settings of a run with this server. Waits and raises as :meth:`transport`."""
        completed = {**given, **self._given, "grpc_address": self._address()}
        known = [name for name in KNOWN_GRAPHS if name in self.servables]
        model = run_transport(completed).model_name or next(iter(known), None)
        if given.get("api", "stream") == "stream":
            completed["model_name"] = model
        if model is not None and model in self.label_files and completed.get("labels") is None:
            completed["labels"] = self.label_files[model]
        return completed

    def _address(self) -> str:
        self._settled.wait()
        if self._state == "failed":
            raise ServerStartError(self._problem)
        return self._transport.address if self._embedded is None else self._embedded.address

    def _keep_alive(self) -> None:
        """Start the embedded server, and start it again whenever it has ended."""
        assert self._embedded is not None
        backoff = Backoff(self.LOOK_SECONDS, 60.0)
        while not self._ended.is_set():
            if self._state != "ready" or self._embedded.exit_status is not None:
                self._revive(self._embedded)
            self._settled.set()
            self._ended.wait(self.LOOK_SECONDS if self._state == "ready" else backoff.next())
        self._settled.set()

    def _revive(self, embedded: EmbeddedServer) -> None:
        try:
            embedded.revive()
        except StreamClientError as error:
            self._state, self._problem = "failed", error.message
        else:
            self._state, self._problem = "ready", ""
