"""The server of a run: one that is connected to, or one that the run starts and ends itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stream_client.embedded import EmbeddedServer
from stream_client.pipeline.credits import StreamCredits
from stream_client.pipeline.embedded_transport import EmbeddedTransport
from stream_client.pipeline.shared_servers import SharedServers
from stream_client.replicas.lines import ReplicaLines
from stream_client.replicas.pool import Replicas
from stream_client.replicas.session import connect_replicas
from stream_client.replicas.snapshot import ReplicaSnapshot
from stream_client.replicas.watch import Watch
from stream_client.transport.addresses import is_several
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.connection import Opening
from stream_client.transport.line import LineProbe, LineSample
from stream_client.transport.options import TransportOptions, Wire
from stream_client.transport.session import Session, connect


@dataclass(frozen=True, slots=True)
class Connection:
    """A session with the server, and files with label names that came with it, by servable."""

    session: Session
    label_files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes the run's session with its server.

    ``transport`` is a session that is ready, or how to make one; with ``embedded`` the address is that server's.
    ``shared`` is what other runs use, too; without it, a run has its own channels and replicas.
    """

    transport: TransportOptions | Session
    embedded: EmbeddedServer | None = None
    shared: SharedServers | None = None
    watch: Watch | None = field(init=False, default=None)
    """Looks after the replicas, where the address stands for several."""
    _opening: Opening = field(init=False, default_factory=Opening)

    def __post_init__(self) -> None:
        if isinstance(self.transport, TransportOptions) and is_several(self.transport.address):
            shared = self.shared
            watch = Watch(Replicas(self.transport)) if shared is None else shared.watch(self.transport)
            object.__setattr__(self, "watch", watch)

    def replicas(self) -> Sequence[ReplicaSnapshot]:
        """The replicas now; none where there is one server."""
        return () if self.watch is None else self.watch.replicas.snapshot()

    @property
    def _channels(self) -> Channels:
        return OWN_CHANNELS if self.shared is None else self.shared.channels

    def line_probe(self, report: Callable[[LineSample], None]) -> LineProbe | ReplicaLines | None:
        """Measures the lines to servers elsewhere. ``None`` for one that the run starts, or has no address."""
        if self.watch is not None:
            return ReplicaLines(self.watch.replicas, report)
        if self.embedded is not None or isinstance(self.transport, Session):
            return None
        if self.transport.address.startswith("unix:"):
            return None
        return LineProbe(self.transport, report, OWN_CHANNELS if self.shared is None else self.shared.probes)

    def credits(self, weight: float) -> StreamCredits | None:
        """Credits for a stream of ``weight``; ``None`` where it shares its server with no other."""
        if self.shared is None or isinstance(self.transport, Session):
            return None
        return self.shared.credits(self.transport).join(weight)

    @property
    def wire(self) -> Wire:
        """How frames shall travel."""
        return "raw" if isinstance(self.transport, Session) else self.transport.wire

    def launch(self) -> None:
        """Start the embedded server, or look at the replicas, without waiting for them."""
        if self.embedded is not None:
            self.embedded.launch()
        if self.watch is not None:
            self.watch.start()

    def connect(self) -> Connection:
        """Wait for the embedded server, and ask the server what it serves.

        Raises what :func:`~stream_client.transport.session.connect` raises.
        """
        if isinstance(self.transport, Session):
            return Connection(self.transport)
        if self.watch is not None:
            self.watch.start()
            return Connection(connect_replicas(self.watch.replicas, self.transport))
        if self.embedded is None:
            return Connection(connect(self.transport, channels=self._channels, opening=self._opening))
        self.embedded.start()
        session = connect(replace(self.transport, address=self.embedded.address), self.embedded.servables)
        transport = EmbeddedTransport(session.transport, self.embedded)
        return Connection(replace(session, transport=transport), self.embedded.label_files)

    def interrupt(self) -> None:
        """Wait no more for a server that does not answer: :meth:`connect` fails at once. Safe from any thread."""
        self._opening.interrupt()

    def close(self) -> None:
        """End the embedded server, or look after the run's own replicas no more."""
        if self.watch is not None and self.shared is None:
            self.watch.close()
        if self.embedded is not None:
            self.embedded.close()
