"""A session with replicas: asks each of them what it serves, and makes the transport."""

import time
from dataclasses import replace

from stream_client.errors import ConfigurationError, ConnectError, StreamClientError
from stream_client.replicas.admission import Admission, ask
from stream_client.replicas.calls import BalancedCalls
from stream_client.replicas.placed import PlacedSession
from stream_client.replicas.pool import Replicas
from stream_client.transport.key_frames import KeyFrames
from stream_client.transport.options import TransportOptions
from stream_client.transport.session import Session

_OTHERS_SECONDS = 1.0
"""Seconds to wait for the other replicas once one is ready."""


def connect_replicas(replicas: Replicas, options: TransportOptions) -> Session:
    """Ask the replicas what they serve, which a :class:`~stream_client.replicas.watch.Watch` looks after.

    One is enough to begin with. Raises :class:`~stream_client.errors.ConnectError` when none answers, and
    :class:`~stream_client.errors.ConfigurationError`, with its name, for one that serves something else.
    """
    _wait(replicas, options.connect_timeout)
    key_frames = KeyFrames()
    admission: Admission | None = None
    first: Session | None = None
    last_error: StreamClientError | None = None
    for replica in replicas.ready():
        try:
            session = ask(replicas, replica, options, options.connect_timeout, key_frames)
        except ConnectError as error:
            replicas.lost(replica)
            last_error = error
            continue
        if admission is None or first is None:
            options = replace(options, model_name=session.servable.name)
            first, admission = session, Admission(replicas, options, session.servable, key_frames)
        admission.admit(replica, session)
    if admission is None or first is None:
        raise last_error or _nobody(replicas, options)
    transport = (PlacedSession if options.api == "stream" else BalancedCalls)(admission)
    return replace(first, transport=transport)


def _wait(replicas: Replicas, timeout: float) -> None:
    """Until every replica is known to be there or away, at most ``timeout`` seconds, less once one is ready."""
    began = time.monotonic()
    replicas.wait_for(lambda: bool(replicas.ready()), timeout)
    left = min(timeout - (time.monotonic() - began), _OTHERS_SECONDS)
    replicas.wait_for(lambda: all(replica.state in ("ready", "away") for replica in replicas.all()), left)


def _nobody(replicas: Replicas, options: TransportOptions) -> StreamClientError:
    """Why no replica can be used: what the first one's connection says of TLS, where it is about that."""
    for replica in replicas.all()[:1]:
        try:
            ask(replicas, replica, options, 0.5)
        except StreamClientError as error:
            if isinstance(error, ConfigurationError) or error.option != "grpc_address":
                return error
    problem = replicas.problem or f"none of the replicas {options.address} is ready"
    remedy = "is the name right?" if replicas.problem else "are they running, and is the address right?"
    return ConnectError(f"{problem} within {options.connect_timeout:g} s: {remedy}", option="grpc_address")
