"""gRPC channels to a server: address, TLS, keepalive, message size."""

import math
import ssl
import threading
import time
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from kserve_wire.messages import ServerReadyResponse
from kserve_wire.names import method_path
from stream_client.errors import ConfigurationError, ConnectError
from stream_client.transport.options import TlsOptions, TransportOptions
from stream_client.util.tls import speaks_tls, tls_failure, tls_reason

MAX_ANSWER_BYTES = 256 << 20
"""Of a message of the server, also once it is decompressed. An 8K frame has 106 MB."""

_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    # Servers answer pings more often than every 5 minutes without data with GOAWAY too_many_pings, so
    # ping only while a call is open, and rarely; a stream with frames on it keeps itself alive.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 2),
    # gRPC must try at once: our own back-off decides when.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Otherwise channels to one address share a connection, and the back-off of a broken one.
    ("grpc.use_local_subchannel_pool", 1),
    # Frames are megabytes: read the socket in large pieces.
    ("grpc.experimental.tcp_read_chunk_size", 4 << 20),
    ("grpc.experimental.tcp_min_read_chunk_size", 1 << 20),
    ("grpc.experimental.tcp_max_read_chunk_size", 8 << 20),
    ("grpc.enable_http_proxy", 0),
]


NO_ANSWER = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

_PROBE_TIMEOUT = 0.5
"""Seconds for each step of finding out what is wrong with TLS."""
_READY_TIMEOUT = 1.0
"""Seconds to wait for one answer of ServerReady."""
_READY_PAUSE = 0.1
"""Seconds between two such questions."""


class Connection:
    """A channel to a server, opened and closed in bounded time; may be opened again once closed."""

    CLOSE_TIMEOUT = 0.5
    """Seconds to close. gRPC waits for data that is being written. If the server has stopped reading, that takes until
    the keepalive fails.
    """

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
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
        channel = make_channel(options)
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
            self.close()
            what = f"no gRPC server answers at {options.address} ({'with' if options.tls else 'without'} TLS)"
            if not self._interrupted.is_set() and (fault := _tls_fault(options)) is not None:
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
        """Close the channel; safe twice."""
        with self._lock:
            channel, self._channel, self._probe = self._channel, None, None
        if channel is not None:
            closer = threading.Thread(target=channel.close, name="channel closer", daemon=True)
            closer.start()
            closer.join(self.CLOSE_TIMEOUT)


def make_channel(options: TransportOptions) -> grpc.Channel:
    """A channel to one server, which connects by itself; raises :class:`.ConfigurationError` for its TLS files."""
    if options.tls is None:
        return grpc.insecure_channel(options.address, options=_OPTIONS)
    name = options.tls.server_name
    named = [] if name is None else [("grpc.ssl_target_name_override", name)]
    return grpc.secure_channel(options.address, _credentials(options.tls), options=[*_OPTIONS, *named])


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


def _credentials(tls: TlsOptions) -> grpc.ChannelCredentials:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca, "tls_ca"),
        private_key=_read(tls.key, "tls_key"),
        certificate_chain=_read(tls.certificate, "tls_cert"),
    )
    _check_pem(tls)
    return credentials


def _read(path: Path | None, option: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", option=option) from error


def _check_pem(tls: TlsOptions) -> None:
    """gRPC takes any bytes, and would only report that no server answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{tls.ca} has no certificate in PEM form", option="tls_ca") from error
    try:
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{tls.certificate} and {tls.key} are no certificate and key in PEM form that belong together",
            option="tls_cert",
        ) from error
