"""Addresses and TLS, on real sockets."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from kserve_wire.messages import ServerReadyResponse
from kserve_wire.names import SERVICE
from stream_client import StreamClient, TransportOptions
from stream_client.errors import ConfigurationError, ConnectError
from stream_client.transport.connection import Connection
from stream_client.transport.message import Message
from stream_client.transport.options import TlsOptions
from stream_client.transport.streaming import StreamingTransport
from tests.support.kserve_server import ScriptedServer
from tests.support.video import picture

ROOT = Path(__file__).resolve().parents[3]


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
    options = TransportOptions(f"localhost:{secure.port}", tls=TlsOptions(), connect_timeout=0.5)
    with pytest.raises(
        ConnectError, match=r"with TLS.*certificate is not trusted \(self-signed certificate\)"
    ) as error:
        Connection(options).open()
    assert error.value.option == "tls_ca"


def test_a_server_that_wants_a_certificate_of_ours_is_a_connect_error(
    secure: ScriptedServer, certificates: Path
) -> None:
    tls = TlsOptions(ca=certificates / "cert.pem")
    with pytest.raises(ConnectError, match=r"want a(nother)? certificate of this client") as error:
        Connection(TransportOptions(f"localhost:{secure.port}", tls=tls, connect_timeout=0.5)).open()
    assert error.value.option == "tls_cert"


def test_a_certificate_for_another_name_is_a_connect_error(secure: ScriptedServer, certificates: Path) -> None:
    tls = TlsOptions(ca=certificates / "cert.pem")
    with pytest.raises(ConnectError, match="is for another name"):
        Connection(TransportOptions(f"127.0.0.1:{secure.port}", tls=tls, connect_timeout=0.5)).open()


def test_tls_on_one_side_alone_is_a_connect_error(secure: ScriptedServer) -> None:
    with pytest.raises(ConnectError, match=r"\(without TLS\): the server speaks TLS") as error:
        Connection(TransportOptions(f"localhost:{secure.port}", connect_timeout=0.5)).open()
    assert error.value.option == "tls"
    with ScriptedServer() as plain, pytest.raises(ConnectError, match="does the server speak TLS at this port"):
        Connection(TransportOptions(plain.address, tls=TlsOptions(), connect_timeout=0.5)).open()


def test_tls_files_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a certificate and its key go together \(tls_key\)"):
        Connection(TransportOptions("localhost:1", tls=TlsOptions(certificate=tmp_path))).open()
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing\.pem: No such file.* \(tls_ca\)"):
        Connection(TransportOptions("localhost:1", tls=TlsOptions(ca=tmp_path / "missing.pem"))).open()


def test_tls_files_without_a_certificate_or_the_key_to_it_are_told(tmp_path: Path, certificates: Path) -> None:
    certificate, text = certificates / "cert.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"text\.pem has no certificate in PEM form \(tls_ca\)"):
        Connection(TransportOptions("localhost:1", tls=TlsOptions(ca=text))).open()
    with pytest.raises(ConfigurationError, match=r"belong together \(tls_cert\)"):
        Connection(TransportOptions("localhost:1", tls=TlsOptions(certificate=certificate, key=text))).open()


def test_a_waiting_connection_can_be_given_up() -> None:
    connection = Connection(TransportOptions("localhost:1", connect_timeout=3600))
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(connection.open)
        connection.interrupt()
        with pytest.raises(ConnectError):
            opened.result()
    with pytest.raises(ConnectError):
        connection.open()


def test_a_connection_whose_peer_has_stopped_reading_can_be_closed() -> None:
    """The peer is a process that is halted with a frame half sent to it."""
    script = """
import sys
from tests.support.kserve_server import ScriptedServer
with ScriptedServer() as server:
    print(server.address, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as server:
        assert server.stdout is not None
        transport = StreamingTransport(TransportOptions(server.stdout.readline().strip()), "graph")
        transport.open(lambda event: None)
        server.send_signal(signal.SIGSTOP)
        transport.send(0, Message([bytes(64 << 20)]))
        transport.close()
        server.kill()


@pytest.fixture
def loading() -> Iterator[tuple[str, list[bool]]]:
    """A server that is live, and its answers to whether it is ready; the last one is repeated."""
    answers = [False]

    def ready(request: bytes, context: grpc.ServicerContext) -> bytes:
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return ServerReadyResponse(ready=now).SerializeToString()

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "ServerLive": grpc.unary_unary_rpc_method_handler(lambda request, context: b""),
        "ServerReady": grpc.unary_unary_rpc_method_handler(ready),
    }
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", answers
    server.stop(0).wait()


def test_a_server_that_is_still_loading_is_waited_for(loading: tuple[str, list[bool]]) -> None:
    address, answers = loading
    answers[:] = [False, False, True, False]
    connection = Connection(TransportOptions(address))
    connection.open()
    connection.close()
    assert answers == [False]  # it was asked until it said yes


def test_a_server_that_never_says_that_it_is_ready_is_taken_all_the_same(loading: tuple[str, list[bool]]) -> None:
    connection = Connection(TransportOptions(loading[0], connect_timeout=0.3))
    assert connection.open() is not None
    connection.close()


def test_waiting_for_a_server_that_is_still_loading_can_be_interrupted(loading: tuple[str, list[bool]]) -> None:
    connection = Connection(TransportOptions(loading[0], connect_timeout=60))
    connection.interrupt()
    with pytest.raises(ConnectError):
        connection.open()
