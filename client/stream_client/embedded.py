"""The embedded graph server: a child process on loopback. It always ends with its owner."""

import json
import logging
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from stream_client.errors import ConfigurationError, ConnectError
from stream_client.util.settings import setting

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """How to start the graph server. ``None`` takes its own defaults.

    ``arguments`` are further flags of ``python -m graph_server``. Timeouts are in seconds: ``start_timeout``
    covers the first fetch of the models over a slow line; a server that has not ended after ``stop_timeout``
    is killed.
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


class EmbeddedServer:
    """Owns the child process and the two threads that read its output. A context manager.

    The child's standard input is a pipe. The child ends when the pipe closes, so it never outlives this process, even a
    killed one.
    """

    def __init__(self, options: EmbeddedOptions | None = None) -> None:
        self._options = options or EmbeddedOptions()
        self._process: subprocess.Popen[str] | None = None
        self._ready: queue.Queue[str] = queue.Queue(maxsize=2)
        self._threads: list[threading.Thread] = []
        self._last_words: list[str] = []
        self.address = ""
        """``host:port`` of its gRPC service, once started."""
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
        assert self._process is not None
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status of the child, ``None`` while it runs; negative: the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def launch(self) -> None:
        """Start the child if it is not started. Does not wait for it."""
        if self._process is not None:
            return
        command = [sys.executable, "-m", "graph_server", "--port", "0", "--exit_with_stdin"]
        if self._options.config_path is not None:
            command += ["--config_path", str(self._options.config_path)]
        if self._options.models_dir is not None:
            command += ["--models_dir", str(self._options.models_dir)]
        command += self._options.arguments
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the whole foreground group. This child must work until its owner closes it.
            start_new_session=True,
        )
        for pipe, read in ((self._process.stdout, self._read_ready), (self._process.stderr, self._read_log)):
            assert pipe is not None
            thread = threading.Thread(target=read, args=(pipe,), name="embedded server output", daemon=True)
            thread.start()
            self._threads.append(thread)

    def start(self) -> None:
        """Start the child and wait until it serves. Raises :class:`.ConnectError` with the child's own message."""
        self.launch()
        assert self._process is not None
        try:
            line = self._ready.get(timeout=self._options.start_timeout)
        except queue.Empty:
            self.close()
            raise ConnectError(
                f"the embedded graph server was not ready within {self._options.start_timeout:g} s"
            ) from None
        if not line:
            self._process.wait()
            self.close()
            words = "; ".join(self._last_words[-3:]) or f"exit status {self._process.returncode}"
            if "No module named" in words and "graph_server" in words:
                words = "it is not installed: pip install 'ovms-stream-client[embedded]'"
            raise ConnectError(f"the embedded graph server did not start: {words}")
        self._take_ready_line(line)

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

    def close(self) -> None:
        """End the child: first by closing its input, then by killing it. Safe twice, and before :meth:`start`."""
        process = self._process
        if process is None:
            return
        if not self.address:
            process.terminate()  # it watches its standard input only after it serves
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(self._options.stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def _read_ready(self, pipe: IO[str]) -> None:
        self._ready.put(pipe.readline())
        for _ in pipe:  # the child must never wait for a reader
            pass

    def _read_log(self, pipe: IO[str]) -> None:
        for line in pipe:
            text = line.rstrip()
            if text:
                self._last_words = [*self._last_words[-9:], text]
                logger.info("graph server: %s", text)
