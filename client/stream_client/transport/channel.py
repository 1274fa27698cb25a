"""A gRPC channel to a server: address, TLS, keepalive, message size."""

import ssl
from pathlib import Path

import grpc

from stream_client.errors import ConfigurationError
from stream_client.transport.options import TlsOptions, TransportOptions

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


def make_channel(options: TransportOptions) -> grpc.Channel:
    """A channel to one server, which connects by itself; raises :class:`.ConfigurationError` for its TLS files."""
    if options.tls is None:
        return grpc.insecure_channel(options.address, options=_OPTIONS)
    name = options.tls.server_name
    named = [] if name is None else [("grpc.ssl_target_name_override", name)]
    return grpc.secure_channel(options.address, _credentials(options.tls), options=[*_OPTIONS, *named])


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
