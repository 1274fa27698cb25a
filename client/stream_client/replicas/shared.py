"""Replicas that several runs of a process use: each run then knows what the others have to do there."""

import threading
from types import TracebackType

from stream_client.replicas.pool import Replicas
from stream_client.replicas.watch import Watch
from stream_client.transport.options import TlsOptions, TransportOptions


class SharedReplicas:
    """Looks after each list of servers once, however many clients name it. A context manager; safe from any thread.

    >>> with SharedReplicas() as shared:  # doctest: +SKIP
    ...     clients = [StreamClient(source, [], "a:9000,b:9000", replicas=shared) for source in sources]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[tuple[str, TlsOptions | None], Watch] = {}

    def watch(self, options: TransportOptions) -> Watch:
        """What looks after the replicas that ``options`` name; raises :class:`.ConfigurationError` for TLS files."""
        with self._lock:
            key = (options.address, options.tls)
            if key not in self._watches:
                self._watches[key] = Watch(Replicas(options))
            return self._watches[key]

    def close(self) -> None:
        """Look after them no more, after the last run. Safe twice."""
        with self._lock:
            watches, self._watches = list(self._watches.values()), {}
        for watch in watches:
            watch.close()

    def __enter__(self) -> "SharedReplicas":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
