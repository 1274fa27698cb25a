"""The embedded graph server: a child process on this machine. It always ends with its owner.

It listens on a socket in a folder that only this user can enter. So whatever answers there is the child, also after the
child has died: a port could be somebody else's by then.
"""

import json
import logging
import math
import shutil
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from stream_client.errors import ConfigurationError, ConnectError, ServerStartError
from stream_client.util.child_process import ChildProcess
from stream_client.util.extras import install_command
from stream_client.util.settings import setting

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """How to start the graph server. ``None`` takes its own defaults.

    ``arguments`` are further flags of ``python -m graph_server``; with an address among them the server listens there.
    Timeouts are in seconds: ``start_timeout`` covers the first fetch of the models over a slow line; a server that has
    not ended after ``stop_timeout`` is killed.
    """

    config_path: Path | None = field(
        default=None, metadata=setting("config.json of the embedded server", otherwise="the project's", metavar="FILE")
    )
    models_dir: Path | None = field(
        default=None,
        metadata=setting("model repository of the embedded server", otherwise="the user's cache", metavar="DIR"),
    )
    arguments: tuple[str, ...] = ()
    start_timeout: float = 600.0
    stop_timeout: float = 1.0

    def bound_to(self, host: str, port: str) -> "EmbeddedOptions":
        """The same for a server that listens at ``host``, at any port that is free where ``port`` is 0."""
        return replace(self, arguments=(*self.arguments, "--grpc_bind_address", host, "--port", port))


class EmbeddedServer:
    """Owns the child process. A context manager.

    The child's standard input is a pipe. The child ends when the pipe closes, so it never outlives this process, even a
    killed one.
    """

    def __init__(self, options: EmbeddedOptions | None = None, servable: str | None = None) -> None:
        """``servable``: the only one that is asked for. The server starts sooner without the others."""
        self._options = options or EmbeddedOptions()
        self._servable = servable
        self._child: ChildProcess | None = None
        self._exit_status: int | None = None
        self._ready = False
        self._interrupted = False
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self.address = ""
        """The address of its gRPC service, ``unix:path`` or ``host:port``, once started. It stays after a restart."""
        self.rest_address: str | None = None
        """``host:port`` of its REST service, once started, if ``--rest_port`` is among the arguments."""
        self.label_files: dict[str, Path] = {}
        """The label names of its servables, by servable."""
        self.precisions: dict[str, str] = {}
        """The type that each of its compiled models computes in, such as ``f32``."""
        self.default_precision = ""
        """The type that this processor computes in if a configuration leaves it open."""
        self.servables: tuple[str, ...] = ()
        """Its servables: graphs, and models that no graph uses."""

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id of the child, once launched."""
        assert self._child is not None
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status of the child, ``None`` while it runs; negative: the signal that ended it."""
        return self._exit_status if self._child is None else self._child.exit_status

    def launch(self) -> None:
        """Start the child if it is not started. Does not wait for it."""
        with self._lock:
            if self._child is None and not self._interrupted:
                self._child = ChildProcess(self._command(), "graph server", logger)

    def start(self) -> None:
        """Start the child and wait until it serves. Raises :class:`.ServerStartError` with the child's own message."""
        self.launch()
        try:
            self._wait(self._options.start_timeout)
        except TimeoutError:
            self.close()
            raise ServerStartError(
                f"the embedded graph server was not ready within {self._options.start_timeout:g} s"
            ) from None
        except ServerStartError:
            self.close()
            raise

    def revive(self, within: float = math.inf) -> None:
        """Start another child, at the same address, if the child has ended. Waits until it serves.

        Raises :class:`.ServerStartError`, and :class:`.ConnectError` when it does not serve in ``within`` seconds yet.
        """
        if self.exit_status is not None:
            self._end_child()
            logger.warning("the embedded graph server has ended (exit status %s); starting it again", self._exit_status)
        self.launch()
        timeout = min(self._options.start_timeout, within)
        try:
            self._wait(timeout)
        except TimeoutError:
            raise ConnectError(f"the embedded graph server was not ready within {timeout:g} s") from None

    def interrupt(self) -> None:
        """Start no other child, and end one that does not serve yet. Safe from any thread."""
        with self._lock:
            self._interrupted = True
            if self._child is not None and not self._ready:
                self._child.terminate()

    def close(self) -> None:
        """End the child: first by closing its input, then by killing it. Safe twice, and before :meth:`start`."""
        self._end_child()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "graph_server", "--exit_with_stdin"]
        if self._options.config_path is not None:
            command += ["--config_path", str(self._options.config_path)]
        if self._options.models_dir is not None:
            command += ["--models_dir", str(self._options.models_dir)]
        given = self._options.arguments
        if self._servable is not None and not any(word.startswith("--model_name") for word in given):
            command += ["--only", self._servable]
        return [*command, *self._where(), *given, *self._where_again()]

    def _where(self) -> list[str]:
        if not _HAS_UNIX_SOCKETS or any(word.startswith(_ADDRESS) for word in self._options.arguments):
            return ["--port", "0"]
        if self._folder is None:
            self._folder = _private_folder()
        return ["--port", "0", "--grpc_bind_address", f"unix:{self._folder / 'grpc'}"]

    def _where_again(self) -> list[str]:
        """A child that is started again has the port of the one before, or does not start."""
        is_port = self.address and not self.address.startswith("unix:")
        return ["--port", self.address.rpartition(":")[2]] if is_port else []

    def _wait(self, timeout: float) -> None:
        if self._child is None:
            raise ServerStartError("the embedded graph server was stopped")
        if not self._ready:
            line = self._child.first_line(timeout)
            if not line:
                raise ServerStartError(f"the embedded graph server did not start: {_reason(self._child.last_words)}")
            self._take_ready_line(line)
            self._ready = True

    def _take_ready_line(self, line: str) -> None:
        try:
            ready = json.loads(line)
            self.address = str(ready["grpc"])
            self.rest_address = ready.get("rest")
            labels = ready.get("labels") or {}
            self.servables = tuple(labels)
            self.precisions = dict(ready.get("precisions") or {})
            self.default_precision = str(ready.get("default_precision") or "not known")
            self.label_files = {name: Path(path) for name, path in labels.items() if path is not None}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.close()
            raise ConfigurationError(f"the embedded graph server's ready line is not understood: {line}") from error

    def _end_child(self) -> None:
        with self._lock:
            child, self._child = self._child, None
            ready, self._ready = self._ready, False
        if child is not None:
            if not ready:
                child.terminate()
            child.close(self._options.stop_timeout)
            self._exit_status = child.exit_status


def _reason(words: str) -> str:
    if "No module named" in words and "graph_server" in words:
        return f"it is not installed: {install_command('embedded')}"
    return words


_ADDRESS = ("--port", "--grpc_bind_address")
"""Flags that name an address of one's own."""
_HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX") and sys.platform != "win32"
_MOST_BYTES = 80
"""Bytes of a folder's path: systems allow 104 or 108 for a socket's whole path."""


def _private_folder() -> Path:
    """A new folder that only this user can enter."""
    folder = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="graph-server-", dir=folder if len(folder) < _MOST_BYTES else "/tmp"))
