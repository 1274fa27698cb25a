"""A stream: its settings, its present run, the files of its results."""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stream_client.controlled_run import OVER
from stream_client.errors import ConfigurationError
from stream_client.sinks.output_file import sink_errors
from stream_client.util.settings import Settings
from stream_client.web.model_server import ModelServer
from stream_client.web.streams.journal import Log
from stream_client.web.streams.run import Run

Resolve = Callable[[Settings, Path], Settings]


class Stream:
    """``given`` are the settings as the user gave them, ``resolved`` those with real paths. ``resolve`` makes these,
    for files in ``folder``.

    The stream owns its run and its folder. Every method may be called from any thread; those that wait say so.
    """

    def __init__(
        self,
        id: str,
        name: str,
        given: Settings,
        resolved: Settings,
        *,
        resolve: Resolve,
        server: ModelServer,
        folder: Path,
    ) -> None:
        self.id = id
        self.name = name
        self.given = given
        self.folder = folder
        self.log = Log()
        self._resolve = resolve
        self._server = server
        self._lock = threading.Lock()
        self._closed = False
        with sink_errors(f"the results need room in {folder.parent}", "output_stream"):
            folder.mkdir()
        self._resolved = resolved
        self.run = self._start(resolved)

    @property
    def over(self) -> bool:
        """Whether its run has ended."""
        return self.run.state in OVER

    def restart(self) -> None:
        """End the run, wait for that, and begin anew. Results of the run before are overwritten."""
        with self._lock:
            if self._closed:
                raise ConfigurationError("the stream was deleted")
            resolved = self._resolve(self.given, self.folder)
            self.run.stop()
            self.run.join()
            self.log.add("restart")
            self._resolved = resolved
            self.run = self._start(resolved)

    def file(self, setting: str) -> Path | None:
        """The file that a setting names, if there is one now."""
        name = self._resolved.get(setting)
        path = Path(name) if isinstance(name, str | Path) and "://" not in str(name) else None
        return path if path is not None and path.is_file() else None

    def close(self) -> None:
        """End the run, wait for that, and remove the results."""
        self.run.stop()
        with self._lock:
            self._closed = True
            self.run.stop()
            self.run.join()
            shutil.rmtree(self.folder, ignore_errors=True)

    def results(self) -> dict[Path, int]:
        """The files of the results that are there now, each with its size in bytes."""
        found = {}
        for folder, _, names in os.walk(self.folder):
            for path in (Path(folder, name) for name in names if not name.startswith(".")):
                with suppress(OSError):  # the stream is deleted, or begins anew
                    found[path] = path.stat().st_size
        return dict(sorted(found.items()))

    def _start(self, resolved: Settings) -> Run:
        return Run(f"{self.id} {self.name}", resolved, self._server, self.folder, self.log)
