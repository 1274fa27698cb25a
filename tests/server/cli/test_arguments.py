"""The server's flags, as a user types them."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from graph_server.cli.command import main
from graph_server.errors import ConfigError
from graph_server.tls import server_credentials
from tests.conftest import ROOT
from tests.support.calls import calling
from tests.support.graph_server import ECHO, graph_server_process, http, request, write_onnx


def refused_here(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[object, str]:
    """The same in this process, for what is refused before anything is bound."""
    try:
        status: object = main([*flags, "--port", "0"])
    except SystemExit as ended:
        status = ended.code
    return status, capsys.readouterr().err.strip().splitlines()[-1]


def refused(*flags: str) -> tuple[int, str]:
    """Exit status and last line of a server that does not start."""
    command = [sys.executable, "-m", "graph_server", "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=50, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--metrics_enable",), "--rest_port is missing: metrics are served on it"),
        ((*ECHO, "--rest_port", "0", "--metrics_list", "x"), "--metrics_enable is missing"),
        ((*ECHO, "--config_path", "x.json"), "use either --config_path or --model_name with --model_path"),
        (("--model_name", "x"), "--model_name and --model_path go together"),
        (("--nireq", "2"), "--nireq goes with --model_name"),
        (("--file_system_poll_wait_seconds", "-1"), "'-1' is not a number of seconds"),
        (("--plugin_config", "{"), "argument --plugin_config: '{' is not valid JSON"),
        (("--max_sessions", "x"), "argument --max_sessions: 'x' is not a positive number"),
        (("--rest_port", "65536"), "argument --rest_port: '65536' is not a port, 0 to 65535"),
        (("--rest_bind_address", "127.0.0.1,127.0.0.2"), "REST is bound to one address here"),
        (("--max_session", "2"), "unrecognized arguments: --max_session 2"),
        (("--cpu_extension", "x.so"), "unrecognized arguments: --cpu_extension x.so"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], text: str
) -> None:
    status, line = refused_here(capsys, *flags)
    assert status == 2
    assert text in line


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ((*ECHO, "--tls_client_ca", "ca.pem"), "tls_client_ca needs both (--tls_cert)"),
        ((*ECHO, "--tls_cert", "no.pem", "--tls_key", "no.key"), "cannot read no.key"),
        ((*ECHO, "--grpc_bind_address", "192.0.2.1"), "cannot bind 192.0.2.1:0"),
        ((*ECHO, "--rest_port", "0", "--rest_bind_address", "192.0.2.1"), "cannot bind REST port 0 of 192.0.2.1"),
        ((*ECHO, "--tls_cert", "Makefile", "--tls_key", "Makefile"), "Makefile and Makefile are not a PEM certificate"),
    ],
)
def test_a_server_that_cannot_do_as_told_says_so_in_one_line(flags: tuple[str, ...], text: str) -> None:
    status, line = refused(*flags)
    assert status == 1
    assert line.startswith("error: ")
    assert text in line


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--rest_port", "0", "--metrics_enable", "--metrics_list", "ovms_x"), "not supported: ovms_x"),
        (("--log_path", "/nowhere/at/all.log"), "cannot write /nowhere/at/all.log"),
        (("--fault", "dalay=5"), "dalay=5: choose from delay=MS"),
    ],
)
def test_what_is_wrong_before_anything_starts_is_one_line_too(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], text: str
) -> None:
    status, line = refused_here(capsys, *ECHO, *flags)
    assert status == 1
    assert line.startswith("error: ")
    assert text in line


def test_metrics_configured_twice_are_refused_as_by_ovms(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, models_dir: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_config_list": [], "monitoring": {"metrics": {"enable": True}}}))
    assert (
        "metrics are configured twice" in refused("--config_path", str(path), "--rest_port", "0", "--metrics_enable")[1]
    )
    assert "--rest_port is missing" in refused("--config_path", str(path))[1]
    with graph_server_process("--config_path", str(path)) as server:
        assert http(server.rest_address, "GET", "/metrics")[0] == 200


def test_the_projects_configuration_takes_metrics_enable(models_dir: Path) -> None:
    config = str(ROOT / "server_config" / "config.json")
    flags = ("--config_path", config, "--metrics_enable", "--metrics_list", "ovms_current_graphs")
    with graph_server_process(*flags) as server:
        page = http(server.rest_address, "GET", "/metrics")[2].decode()
    assert server.label_files["holisticClassifier"].is_absolute()
    assert 'ovms_current_graphs{name="holisticClassifier"} 0\n' in page
    assert "ovms_responses" not in page


def test_one_model_is_served_with_settings_and_the_log_goes_to_a_file(tmp_path: Path) -> None:
    for version in (1, 2):
        write_onnx(tmp_path / "m" / str(version) / "m.onnx", inputs={"x": (1, 2)}, factor=float(version))
    settings = ("--shape", "(3,2)", "--model_version_policy", '{"all": {}}', "--nireq", "1", "--target_device", "CPU")
    log = tmp_path / "server.log"
    flags = ("--model_name", "m", "--model_path", str(tmp_path / "m"), *settings, "--grpc_workers", "2")
    with graph_server_process(*flags, "--log_level", "TRACE", "--log_path", str(log)) as server:
        metadata = json.loads(http(server.rest_address, "GET", "/v2/models/m")[2])
    assert metadata["versions"] == ["1", "2"]
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [3, 2]}]
    assert log.exists()


def certificate(folder: Path, name: str, *signed_by: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(cert), *signed_by),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def answered(address: str, credentials: grpc.ChannelCredentials) -> Any:
    with grpc.secure_channel(address, credentials) as channel:
        try:
            calling(channel)(request(1).SerializeToString(), timeout=10)
        except grpc.RpcError as error:
            return error.code()
    return None


def test_only_clients_with_a_certificate_of_the_authority_are_admitted(tmp_path: Path) -> None:
    authority, authority_key = certificate(tmp_path, "authority")
    signed = ("-CA", str(authority), "-CAkey", str(authority_key))
    server_cert, server_key = certificate(tmp_path, "localhost", *signed)
    client_cert, client_key = certificate(tmp_path, "client", *signed)
    other_cert, other_key = certificate(tmp_path, "other")
    root = authority.read_bytes()
    flags = ("--tls_cert", str(server_cert), "--tls_key", str(server_key), "--tls_client_ca", str(authority))
    with graph_server_process(*ECHO, *flags) as server:
        known = grpc.ssl_channel_credentials(root, client_key.read_bytes(), client_cert.read_bytes())
        other = grpc.ssl_channel_credentials(root, other_key.read_bytes(), other_cert.read_bytes())
        assert answered(server.address, known) is None
        assert answered(server.address, other) is grpc.StatusCode.UNAVAILABLE
        assert answered(server.address, grpc.ssl_channel_credentials(root)) is grpc.StatusCode.UNAVAILABLE


def test_an_authority_that_is_no_certificate_and_a_key_of_another_are_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    other_key = certificate(tmp_path, "other")[1]
    assert server_credentials(cert, key, cert) is not None
    with pytest.raises(ConfigError, match=r"other\.key are not a PEM certificate and its key"):
        server_credentials(cert, other_key, None)
    with pytest.raises(ConfigError, match=r"server\.key holds no PEM certificate \(tls_client_ca\)"):
        server_credentials(cert, key, key)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_interrupted_while_it_starts_ends_without_a_word(number: signal.Signals) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "graph_server", *ECHO, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if "| grpc" in line:
                break
        process.send_signal(number)
        told += process.communicate(timeout=50)[1].splitlines()
    assert process.returncode in (0, 130)
    assert not [line for line in told if "Traceback" in line]


def test_a_server_whose_output_nobody_reads_ends_with_a_line_about_it() -> None:
    command = [sys.executable, "-m", "graph_server", *ECHO, "--port", "0", "--rest_port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read().startswith("error: nobody reads standard output")
        assert process.wait(50) != 0


def test_several_addresses_are_bound_to_one_port() -> None:
    with graph_server_process(*ECHO, "--grpc_bind_address", "127.0.0.1,127.0.0.2") as server:
        host, _, port = server.address.rpartition(":")
        assert host == "127.0.0.1"
        for address in (f"127.0.0.1:{port}", f"127.0.0.2:{port}"):
            with grpc.insecure_channel(address) as channel:
                calling(channel)(request(1).SerializeToString(), timeout=20)
