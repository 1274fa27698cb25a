"""One of several servers, as its pool knows it. Its fields change under the pool's lock."""

from dataclasses import dataclass, field, replace

import grpc

from stream_client.replicas.load import Load, quantile
from stream_client.replicas.snapshot import ReplicaSnapshot, ReplicaState
from stream_client.transport.addresses import DNS
from stream_client.transport.channel import make_channel
from stream_client.transport.options import TransportOptions


@dataclass(slots=True, eq=False)
class Replica:
    """``epoch`` counts its returns: what is known of an earlier epoch may no longer be so.

    ``silent``: checks in a row without an answer. ``heard``: when it last answered a frame.
    """

    options: TransportOptions
    channel: grpc.Channel
    load: Load = field(default_factory=Load)
    state: ReplicaState = "unknown"
    epoch: int = 0
    silent: int = 0
    heard: float = 0.0
    check: "grpc.Future[bytes] | None" = None
    answered: int = 0
    failed: int = 0
    moved: int = 0

    @property
    def address(self) -> str:
        """Of this server alone."""
        return self.options.address

    def snapshot(self, now: float) -> ReplicaSnapshot:
        """The replica now."""
        load = self.load
        times = load.times(now)
        return ReplicaSnapshot(
            self.address,
            self.state,
            load.in_flight,
            load.sessions,
            self.answered,
            self.failed,
            self.moved,
            load.slow or now < load.rests,
            quantile(times, 0.5) if times else None,
            quantile(times, 0.95) if times else None,
        )


def make_replica(options: TransportOptions, address: str) -> Replica:
    """The server at ``address`` of the list or name in ``options``; raises :class:`.ConfigurationError` for TLS files.

    An address that a name stands for has its certificate in that name.
    """
    tls = options.tls
    if tls is not None and tls.server_name is None and options.address.startswith(DNS):
        tls = replace(tls, server_name=options.address.removeprefix(DNS).rpartition(":")[0].strip("[]"))
    own = replace(options, address=address, tls=tls)
    return Replica(own, make_channel(own))
