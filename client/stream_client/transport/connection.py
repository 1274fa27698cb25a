"""A connection to a server: a channel on which it answers."""

import math
import ssl
import threading
import time

import grpc
from google.protobuf.message import DecodeError

from kserve_wire.messages import ServerReadyResponse
from kserve_wire.names import method_path
from stream_client.errors import ConnectError
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.options import TransportOptions
from stream_client.util.tls import speaks_tls, tls_failure, tls_reason

NO_ANSWER = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

_PROBE_TIMEOUT = 0.5
"""Seconds for each step of finding out what is wrong with TLS."""
_READY_TIMEOUT = 1.0
"""Seconds to wait for one answer of ServerReady."""
_READY_PAUSE = 0.1
"""Seconds between two such questions."""


class Connection:
    """A connected channel to a server, taken and given back in bounded time; may be opened again once closed.

    ``channels`` say where it comes from.
    """

    def __init__(self, options: TransportOptions, channels: Channels = OWN_CHANNELS) -> None:
        self._options = options
        self._channels = channels
        self._channel: grpc.Channel | None = None
        self._probe: grpc.Future[bytes] | None = None
        self._interrupted = threading.Event()
        self._lock = threading.Lock()

    def open(self, within: float = math.inf) -> grpc.Channel:
        """A connected channel; raises :class:`.ConnectError` when no server answers in time, ``within`` at most.

        A server that answers may still load its models, as OVMS does. The wait covers that, too.
        """
        options = self._options
        timeout = min(options.connect_timeout, within)
        deadline = time.monotonic() + timeout
        channel = self._channels.take(options)
        live: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ServerLive"))
        probe = live.future(b"", timeout=timeout, wait_for_ready=True)
        with self._lock:
            self._channel, self._probe = channel, probe
            if self._interrupted.is_set():
                probe.cancel()
        try:
            status = probe.code()
            if status is grpc.StatusCode.OK:
                self._wait_until_ready(channel, deadline)
            if self._interrupted.is_set():
                status = grpc.StatusCode.CANCELLED
        except BaseException:
            self.close()
            raise
        if status in NO_ANSWER:  # any other status is an answer
            self._give_back(broken=not self._interrupted.is_set())
            what = f"no gRPC server answers at {options.address} ({'with' if options.tls else 'without'} TLS)"
            if self._interrupted.is_set():
                raise ConnectError(f"{what} yet: the wait for it was ended", option="grpc_address")
            if (fault := _tls_fault(options)) is not None:
                reason, option = fault
                raise ConnectError(f"{what}: {reason}", option=option)
            raise ConnectError(
                f"{what} within {timeout:g} s: is it running, and is the address right?", option="grpc_address"
            )
        return channel

    def _wait_until_ready(self, channel: grpc.Channel, deadline: float) -> None:
        ready: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ServerReady"))
        while (left := deadline - time.monotonic()) > 0 and not self._interrupted.is_set():
            try:
                if ServerReadyResponse.FromString(ready(b"", timeout=min(left, _READY_TIMEOUT))).ready:
                    return
            except (grpc.RpcError, DecodeError):
                return  # the server does not know the call, or is gone: the next call shows which
            self._interrupted.wait(_READY_PAUSE)

    def interrupt(self) -> None:
        """Make a waiting :meth:`open`, and every later one, fail at once. Safe from any thread."""
        with self._lock:
            self._interrupted.set()
            if self._probe is not None:
                self._probe.cancel()

    def close(self) -> None:
        """Give the channel back; safe twice."""
        self._give_back(broken=False)

    def _give_back(self, *, broken: bool) -> None:
        with self._lock:
            channel, self._channel, self._probe = self._channel, None, None
        if channel is not None:
            self._channels.give_back(channel, broken=broken)


class Opening:
    """The connection that is being opened, for another thread that no longer wants it."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._interrupted = False
        self._lock = threading.Lock()

    def begin(self, connection: Connection) -> None:
        """``connection`` is opened from now on."""
        with self._lock:
            self._connection = connection
            interrupted = self._interrupted
        if interrupted:
            connection.interrupt()

    def interrupt(self) -> None:
        """Make the connection, and every later one, fail at once."""
        with self._lock:
            self._interrupted = True
            connection = self._connection
        if connection is not None:
            connection.interrupt()


def _tls_fault(options: TransportOptions) -> tuple[str, str] | None:
    """What is wrong with TLS where something answers at all, and the option to look at: gRPC does not say it."""
    if options.address.startswith("unix:") or (options.tls is not None and options.tls.server_name is not None):
        return None
    host, _, port = options.address.rpartition(":")
    host = host.strip("[]")
    if options.tls is None:
        return ("the server speaks TLS", "tls") if speaks_tls(host, int(port), _PROBE_TIMEOUT) else None
    context = ssl.create_default_context(cafile=options.tls.ca)
    context.set_alpn_protocols(["h2"])
    if options.tls.certificate is not None:
        context.load_cert_chain(options.tls.certificate, options.tls.key)
    error = tls_failure(host, int(port), context, _PROBE_TIMEOUT)
    if error is None:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return tls_reason(error, "the file of authorities to trust"), "tls_ca"
    wants_ours = isinstance(error, ssl.SSLZeroReturnError) or "ALERT" in (error.reason or "")
    return tls_reason(error), "tls_cert" if wants_ours else "tls"
