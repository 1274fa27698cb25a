"""The servables as they are now, and how they become others when their configuration changes."""

import logging
import threading
from collections.abc import Callable

from graph_server.config.read import ServerConfig
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.runtime import Runtime
from graph_server.servables.load import load
from graph_server.servables.reload import fingerprint

logger = logging.getLogger(__name__)


class LiveServables:
    """Loads a configuration, and again what ``read`` gives when the files behind it have changed.

    Sessions keep the servables that they began with. A change that cannot be loaded leaves everything as it is.
    """

    def __init__(
        self,
        config: ServerConfig,
        read: Callable[[], ServerConfig] | None,
        runtime: Runtime,
        metrics: ServableMetrics,
    ) -> None:
        self._read = read or (lambda: config)
        self._runtime = runtime
        self._metrics = metrics
        self._lock = threading.Lock()
        self.config = config
        self._seen = fingerprint(self.config)
        self._failed = False
        self.current = load(self.config, runtime, metrics)
        """What is served now."""

    def close(self) -> None:
        """End what is kept from call to call."""
        self.current.close()

    def reload_if_changed(self) -> bool:
        """Load again if need be; ``True`` if that was done.

        Raises :class:`GraphServerError` once for each change that cannot be loaded.
        """
        with self._lock:
            seen = fingerprint(self.config)
            if seen == self._seen:
                return False
            self._load(seen)
            return True

    def reload_if_needed(self) -> bool:
        """The same, and a change that could not be loaded is tried again."""
        with self._lock:
            seen = fingerprint(self.config)
            if seen == self._seen and not self._failed:
                return False
            self._load(seen)
            return True

    def _load(self, seen: str) -> None:
        logger.info("the configuration has changed and is loaded again")
        self._seen = seen
        self._failed = True
        config = self._read()
        # Looked at before it is loaded: what changes meanwhile is noticed next time.
        seen = fingerprint(config)
        before = self.current
        self.current = load(config, self._runtime, self._metrics, before)
        before.close(self.current)
        self.config, self._seen, self._failed = config, seen, False
