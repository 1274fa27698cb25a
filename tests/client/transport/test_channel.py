"""Addresses and TLS, on real sockets."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.support.kserve_server import ScriptedServer
from tests.support.video import picture

from stream_client import StreamClient, TransportOptions
from stream_client.errors import ConfigurationError, ConnectError
from stream_client.transport.channel import ChannelOptions, TlsOptions, open_channel


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost, which serves as its own authority."""
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"),
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def secure(certificates: Path) -> Iterator[ScriptedServer]:
    """A server that wants a client certificate of the same authority."""
    key, certificate = ((certificates / name).read_bytes() for name in ("key.pem", "cert.pem"))
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    server = ScriptedServer(credentials=credentials)
    with server:
        yield server


def _run(options: TransportOptions) -> int:
    source = (picture(index) for index in range(3))
    return StreamClient(source, (), options).run().ledger.entered


def test_a_unix_socket_is_an_address(tmp_path: Path) -> None:
    with ScriptedServer(address=f"unix:{tmp_path / 'server.sock'}") as server:
        assert _run(TransportOptions(server.address, model_name="graph")) == 3


def test_tls_with_a_client_certificate(secure: ScriptedServer, certificates: Path) -> None:
    certificate, key = certificates / "cert.pem", certificates / "key.pem"
    tls = TlsOptions(ca=certificate, certificate=certificate, key=key)
    assert _run(TransportOptions(f"localhost:{secure.port}", model_name="graph", tls=tls)) == 3


def test_an_authority_that_is_not_trusted_is_a_connect_error(secure: ScriptedServer) -> None:
    options = ChannelOptions(f"localhost:{secure.port}", TlsOptions(), connect_timeout=0.5)
    with pytest.raises(ConnectError, match="with TLS"):
        open_channel(options)


def test_tls_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--tls_cert and --tls_key go together"):
        open_channel(ChannelOptions("localhost:1", TlsOptions(certificate=tmp_path)))
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing\.pem: No such file.* \(--tls_ca\)"):
        open_channel(ChannelOptions("localhost:1", TlsOptions(ca=tmp_path / "missing.pem")))
