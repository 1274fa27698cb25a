"""Watches the files of a configuration, and reloads them when they change."""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graph_server.config.server_config import ServerConfig
from graph_server.errors import GraphServerError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A digest that changes with the files of a configuration."""

    files: str
    """Of the content of every file that was read."""
    models: str
    """Of names, sizes and times of what is in the models' folders."""


def fingerprint(config: ServerConfig) -> Fingerprint:
    """What is there now."""
    files, models = hashlib.sha256(), hashlib.sha256()
    for path in config.files:
        files.update(f"{path}\0".encode())
        files.update(_content(path))
    for model in config.models:
        models.update(f"{model.base_path}\0{_versions(model.base_path)}\0".encode())
    return Fingerprint(files.hexdigest(), models.hexdigest())


def _content(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b"absent"


def _versions(base: Path) -> list[tuple[str, int, int]]:
    """Every file of every version, so that a file that is still being copied is noticed."""
    found = []
    try:
        for path in [base, *base.glob("[0-9]*"), *base.glob("[0-9]*/*")]:
            status = path.stat()
            size = 0 if path.is_dir() else status.st_size
            found.append((str(path), size, status.st_ctime_ns if size else 0))
    except OSError:
        return []  # gone meanwhile
    return sorted(found)


class ConfigWatcher:
    """Owns the thread that checks every ``interval`` seconds, and calls ``reload`` when ``changed`` is true."""

    def __init__(self, interval: float, reload_if_changed: Callable[[], object]) -> None:
        self._interval = interval
        self._reload = reload_if_changed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="config watcher")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and join it. Safe before :meth:`start`."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                self._reload()
            except GraphServerError as error:
                logger.error("the configuration was not loaded again; what was served stays: %s", error)
            except Exception:  # the next change may be a better one
                logger.exception("the configuration was not loaded again; what was served stays")
