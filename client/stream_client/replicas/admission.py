"""Whether a replica serves what the others serve; then a session takes requests to it."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from stream_client.errors import ConfigurationError, ConnectError, StreamClientError, TransportError
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica
from stream_client.transport.base import Transport
from stream_client.transport.key_frames import KeyFrames
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import Servable
from stream_client.transport.session import Session, connect

logger = logging.getLogger(__name__)


class Admission:
    """Makes transports to single replicas, for one session; a replica is looked at again whenever it comes back.

    ``options`` name the servable. ``key_frames`` are those that the session has sent. Safe from any thread.
    """

    REFUSED_SECONDS = 5.0
    """Seconds until a replica that serves something else is looked at again."""
    LOOK_SECONDS = 0.5
    """Seconds after which those that were refused are thought of again."""
    CONNECT_SECONDS = 1.0
    """Seconds that a replica which was found to be ready has to answer."""

    def __init__(
        self, replicas: Replicas, options: TransportOptions, servable: Servable, key_frames: KeyFrames | None = None
    ) -> None:
        self.replicas = replicas
        self.servable = servable
        self._options = options
        self._key_frames = key_frames
        self._lock = threading.Lock()
        self._admitted: dict[Replica, tuple[int, Transport]] = {}
        self._refused: dict[Replica, float] = {}

    @property
    def connect_timeout(self) -> float:
        """Seconds that a session waits for a replica."""
        return self._options.connect_timeout

    def ready(self) -> Sequence[Replica]:
        """The replicas that are well and have not just been refused."""
        now = time.monotonic()
        ready = self.replicas.ready()  # before the lock: whoever waits for the pool may ask here
        with self._lock:
            return [replica for replica in ready if self._refused.get(replica, 0.0) <= now]

    def admit(self, replica: Replica, session: Session) -> None:
        """Remember a session with a replica that serves the same; raises :class:`.ConfigurationError` for another."""
        if _shape(session.servable) != _shape(self.servable):
            raise ConfigurationError(
                f"{replica.address}: {self.servable.name!r} has other inputs or outputs there than at the other "
                "replicas: name servers with the same servables",
                option="grpc_address",
            )
        with self._lock:
            self._admitted[replica] = (replica.epoch, session.transport)

    def transport(self, replica: Replica) -> Transport | None:
        """The transport to ``replica``, which is not open; ``None`` for one that does not answer or is refused."""
        with self._lock:
            epoch, transport = self._admitted.get(replica, (-1, None))
        if transport is not None and epoch == replica.epoch:
            return transport
        try:
            self.admit(replica, ask(self.replicas, replica, self._options, self.CONNECT_SECONDS, self._key_frames))
        except TransportError:
            self.replicas.lost(replica)
            return None
        except StreamClientError as error:
            self._refuse(replica, error)
            return None
        with self._lock:
            return self._admitted[replica][1]

    def _refuse(self, replica: Replica, error: StreamClientError) -> None:
        with self._lock:
            known = replica in self._refused
            self._refused[replica] = time.monotonic() + self.REFUSED_SECONDS
        if not known:
            logger.warning("replica %s is left out: %s", replica.address, error)

    def wait(self, interrupted: Callable[[], bool], seconds: float) -> None:
        """Wait for a replica that can be used, or an interruption."""
        self.replicas.wait_for(lambda: interrupted() or bool(self.ready()), min(seconds, self.LOOK_SECONDS))

    def nobody(self) -> ConnectError:
        """The error when no replica can be used."""
        problem = self.replicas.problem or f"none of the replicas {self._options.address} answers"
        return ConnectError(f"{problem}: are they running, and is the address right?", option="grpc_address")


def ask(
    replicas: Replicas,
    replica: Replica,
    options: TransportOptions,
    within: float,
    key_frames: KeyFrames | None = None,
) -> Session:
    """What one of ``replicas`` serves; raises what :func:`~stream_client.transport.session.connect` raises."""
    own = replica.options
    timeout = min(within, options.connect_timeout)
    alone = replace(options, address=own.address, tls=own.tls, connect_timeout=timeout)
    return connect(alone, key_frames=key_frames, channels=replicas.channels)


def _shape(servable: Servable) -> object:
    """What has to be equal; the order of inputs and outputs says nothing."""
    return servable.is_graph, frozenset(servable.inputs), frozenset(servable.outputs)
