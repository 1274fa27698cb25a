"""The current servables, and their reload when the configuration changes.

Source: src/http_rest_api_handler.cpp (processConfigReloadRequest), src/modelmanager.cpp (watcher).
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from graph_server.config.server_config import ServerConfig
from graph_server.errors import GraphServerError
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.servables.idle import PERMANENT, IdleGroups
from graph_server.servables.load import Outcome, load
from graph_server.servables.reload import fingerprint
from graph_server.servables.served import Servables

logger = logging.getLogger(__name__)

_FILE_FAILED = "Reloading config file failed. Check server logs for more info."
_VERSIONS_FAILED = "Reloading models versions failed. Check server logs for more info."


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The result of a requested reload. ``status``: OVMS's name of a failure, with its ``text``."""

    changed: bool = False
    status: str = ""
    text: str = ""


class LiveServables:
    """Holds the servables of a configuration. Loads them again when its files have changed.

    Sessions keep the graphs that they began with. A configuration that cannot be read leaves everything as it is.
    """

    def __init__(
        self,
        config: ServerConfig,
        read: Callable[[], ServerConfig] | None,
        runtime: Runtime,
        metrics: ServableMetrics,
        idle_seconds: float = 0,
    ) -> None:
        """``idle_seconds``: see :class:`IdleGroups`. With 0, or without a configuration file, all stays loaded."""
        idle = idle_seconds > 0 and config.path is not None
        self._groups = IdleGroups(idle_seconds, self._wake, self._sleep) if idle else None
        self._read = read or (lambda: config)
        self._lock = threading.Lock()
        self._status = ""
        self._retry = ""
        self._seen = fingerprint(config)
        self.config = config
        self.ready = False
        """Whether the first loading has ended, with or without success, and the server is not draining."""
        self.current = Servables(ModelRepository(runtime, (), metrics), metrics=metrics)
        """The current servables: none before :meth:`load`."""

    def load(self) -> None:
        """Load the configuration; raises :class:`ConfigError` where it requires what cannot be loaded."""
        with self._lock:
            self._status = self._apply(self.config).status
            self.ready = True

    @contextmanager
    def use(self, name: str) -> Iterator[None]:
        """Keep a servable loaded for a request. Raises :class:`GroupBusyError`."""
        with nullcontext() if self._groups is None else self._groups.use(name):
            yield

    def check(self) -> None:
        """What is to be done from time to time: :meth:`reload_if_changed`, and unloading what is idle."""
        try:
            self.reload_if_changed()
        finally:
            if self._groups is not None:
                self._groups.unload_if_idle()

    def stop_waiting(self) -> None:
        """Wake all calls that wait for loading."""
        if self._groups is not None:
            self._groups.close()
        self.current.models.close()

    def close(self) -> None:
        """End what is kept from call to call."""
        self.current.close()

    def reload_if_changed(self) -> bool:
        """Load again if need be; ``True`` if that was done.

        Raises :class:`GraphServerError` once for each change that cannot be read.
        """
        with self._lock:
            seen = fingerprint(self.config)
            if seen == self._seen:
                return False
            self._reload(seen.files != self._seen.files)
            return True

    def reload(self) -> Reloaded:
        """Reload on request. Tries what failed before again."""
        with self._lock:
            path = self.config.path
            if path is not None and not path.is_file():
                return Reloaded(False, "CONFIG_FILE_TIMESTAMP_READING_FAILED", "Config file not found or cannot open.")
            seen = fingerprint(self.config)
            file_changed = seen.files != self._seen.files or bool(self._status)
            if not file_changed and seen == self._seen and not self._retry:
                return Reloaded()
            try:
                outcome = self._reload(file_changed)
            except GraphServerError as error:
                logger.error("the configuration was not loaded again; what was served stays: %s", error)
                return Reloaded(False, self._status, _FILE_FAILED)
            if self._status:
                return Reloaded(False, self._status, _FILE_FAILED)
            if self._retry:
                return Reloaded(False, self._retry, _VERSIONS_FAILED)
            return Reloaded(file_changed or outcome.changed)

    def _reload(self, file_changed: bool) -> Outcome:
        if not file_changed:
            return self._apply(self.config)
        logger.info("the configuration has changed and is loaded again")
        self._seen = fingerprint(self.config)
        self._status = "JSON_INVALID"
        outcome = self._apply(self._read())
        self._status = outcome.status
        return outcome

    def _arrange(self, groups: IdleGroups, config: ServerConfig) -> None:
        """As in OVMS, a new model sleeps, and a new graph sleeps if it has a group. Permanent ones do not."""
        servables = self.current
        models = {model.name: model.group for model in config.models if model.name in servables.models.names}
        graphs = {graph.name: graph.group for graph in config.graphs if graph.name in servables.loaded}
        awake = {name for name, group in models.items() if group == PERMANENT}
        awake |= {name for name, group in graphs.items() if group in ("", PERMANENT)}
        groups.arrange({name: group or name for name, group in (models | graphs).items()}, awake)

    def _wake(self, name: str) -> None:
        self.current.wake(name)

    def _sleep(self, name: str) -> None:
        assert self._groups is not None
        awake = [graph for other, graph in self.current.loaded.items() if other in self._groups.awake - {name}]
        self.current.sleep(name, {model for graph in awake for model in graph.models})

    def _apply(self, config: ServerConfig) -> Outcome:
        # Take the fingerprint before loading, so that a change during loading is noticed next time.
        seen = fingerprint(config)
        before = self.current
        outcome = load(config, before, lazy=self._groups is not None)
        self.current = outcome.servables
        before.close(self.current)
        if self._groups is not None:
            self._arrange(self._groups, config)
        self.config, self._seen, self._retry = config, seen, outcome.retry
        return outcome
