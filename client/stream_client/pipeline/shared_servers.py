"""What the runs of a process share of the servers that they use."""

import threading
from types import TracebackType

from stream_client.pipeline.credits import SharedCredits
from stream_client.replicas.pool import Replicas
from stream_client.replicas.watch import Watch
from stream_client.transport.channels import SharedChannels
from stream_client.transport.options import TlsOptions, TransportOptions


class SharedServers:
    """Clients that are given the same one share a channel to each server, take turns where it is full, and know what
    the others have to do at each replica. A context manager, for longer than their runs; safe from any thread.

    >>> with SharedServers() as shared:  # doctest: +SKIP
    ...     clients = [StreamClient(source, [], "a:9000,b:9000", servers=shared) for source in sources]
    """

    def __init__(self) -> None:
        self.channels = SharedChannels()
        """For frames, and what is asked of a server before."""
        self.probes = SharedChannels()
        """For what is timed beside the frames."""
        self._lock = threading.Lock()
        self._watches: dict[tuple[str, TlsOptions | None], Watch] = {}
        self._credits: dict[str, SharedCredits] = {}

    def watch(self, options: TransportOptions) -> Watch:
        """What looks after the replicas that ``options`` name; raises :class:`.ConfigurationError` for TLS files."""
        with self._lock:
            key = (options.address, options.tls)
            if key not in self._watches:
                self._watches[key] = Watch(Replicas(options, channels=self.channels))
            return self._watches[key]

    def credits(self, options: TransportOptions) -> SharedCredits:
        """Those of the streams that use the servers of ``options``."""
        with self._lock:
            return self._credits.setdefault(options.address, SharedCredits())

    def close(self) -> None:
        """Look after replicas no more, after the last run. Safe twice."""
        with self._lock:
            watches, self._watches = list(self._watches.values()), {}
        for watch in watches:
            watch.close()

    def __enter__(self) -> "SharedServers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
