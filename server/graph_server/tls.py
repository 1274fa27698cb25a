"""TLS on the gRPC port."""

import ssl
from pathlib import Path

import grpc

from graph_server.errors import ConfigError


def server_credentials(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    """The credentials from the files, or ``None`` without files. ``client_ca`` admits only clients that it has signed.

    Raises :class:`ConfigError` for missing or wrong files.
    """
    if certificate is None or key is None:
        if certificate or key or client_ca:
            raise ConfigError("tls_cert and tls_key need each other, and tls_client_ca needs both", option="tls_cert")
        return None
    try:
        pair = (key.read_bytes(), certificate.read_bytes())
        authority = None if client_ca is None else client_ca.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}", option="tls_cert") from error
    _check(certificate, key, client_ca)
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _check(certificate: Path, key: Path, client_ca: Path | None) -> None:
    """Check the files, because gRPC would only say that it cannot bind the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        text = f"{certificate} and {key} are not a PEM certificate and its key, without a password"
        raise ConfigError(text, option="tls_cert") from error
    try:
        if client_ca is not None:
            context.load_verify_locations(client_ca)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"{client_ca} has no PEM certificate", option="tls_client_ca") from error
