"""The server's flags, as a user types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from graph_server.cli.arguments import build_parser
from graph_server.cli.command import main
from graph_server.cli.ovms_flags import REFUSED
from graph_server.errors import ConfigError
from graph_server.tls import server_credentials
from tests.conftest import ROOT
from tests.support.calls import calling
from tests.support.graph_server import ECHO, graph_server_process, http, request, unary, write_onnx
from tests.support.waiting import wait_until

OVMS_HELP = """
help version port grpc_bind_address rest_port rest_bind_address grpc_workers grpc_max_threads grpc_memory_quota
rest_workers log_level log_path verbose_response trace_path grpc_channel_arguments file_system_poll_wait_seconds
custom_node_resources_cleaner_interval_seconds cache_dir metrics_enable metrics_list cpu_extension
allowed_media_domains allowed_local_media_path allow_credentials allowed_origins allowed_methods allowed_headers
api_key_file config_path list_models add_to_config remove_from_config pull source_model source_loras gguf_filename
overwrite_models model_repository_path weight-format extra_quantization_params model_name model_path batch_size
shape layout mean scale color_format precision model_version_policy nireq target_device plugin_config task configure
cache_interval_multiplier cache_size default_num_inference_steps default_resolution draft_source_model
dynamic_split_fuse enable_prefix_caching enable_tool_guided_generation guidance_scale kv_cache_precision
max_allowed_chunks max_num_batched_tokens max_num_images_per_prompt max_num_inference_steps max_num_seqs
max_prompt_len max_resolution model_distribution_policy model_type normalize num_images_per_prompt num_streams
pipeline_type pooling reasoning_parser resolution tool_parser truncate vocoder
"""
"""Every flag that ``ovms --help`` prints; sources: src/cli_parser.cpp, src/graph_export/*_cli_parser.cpp."""


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
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=110, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--metrics_enable",), "--rest_port is missing: metrics are served on it"),
        ((*ECHO, "--rest_port", "0", "--metrics_list", "x"), "--metrics_enable is missing"),
        ((*ECHO, "--config_path", "x.json"), "use either --config_path or --model_name with --model_path"),
        ((*ECHO, "--only", "x"), "--only goes with a configuration"),
        (("--model_name", "x"), "--model_name and --model_path go together"),
        (("--nireq", "2"), "--nireq goes with --model_name"),
        (("--file_system_poll_wait_seconds", "-1"), "'-1' is not a number of seconds"),
        (("--plugin_config", "{"), "argument --plugin_config: '{' is not valid JSON"),
        (("--max_sessions", "x"), "argument --max_sessions: 'x' is not a positive number"),
        (("--rest_port", "65536"), "argument --rest_port: '65536' is not a port, 0 to 65535"),
        (("--rest_port", "0", "--rest_bind_address", "a b"), "--rest_bind_address: 'a b' is neither a host's name nor"),
        (("--grpc_bind_address", "300.0.0.1"), "--grpc_bind_address: '300.0.0.1' is neither a host's name nor an"),
        (("--rest_workers", "4"), "--rest_port is missing: --rest_workers is for it"),
        (("--rest_port", "0", "--rest_workers", "1"), "--rest_workers is from 2 to 10000"),
        (("--rest_port", "0", "--rest_workers", "10001"), "--rest_workers is from 2 to 10000"),
        (("--grpc_workers", "1000"), "argument --grpc_workers: '1000' is not a number of gRPC servers, from 1 to"),
        (("--metrics_enable=maybe",), "argument --metrics_enable: 'maybe' is neither true nor false"),
        ((*ECHO, "--mean", "3"), "--layout is missing: --mean needs it"),
        ((*ECHO, "--precision", "uint8:fp32"), "--layout is missing: --precision needs it"),
        (("--api_key_file", "nowhere"), "argument --api_key_file: 'nowhere' is no file"),
        (("--max_session", "2"), "unrecognized arguments: --max_session 2"),
        (("--cpu_extension", "x.so"), "--cpu_extension: x.so does not exist"),
        (("--pull",), "--pull is a flag of OVMS that the graph server does not take: it is for generative models"),
        (("--task=embeddings",), "--task is a flag of OVMS that the graph server does not take"),
        (("--add_to_config",), "--add_to_config is a flag of OVMS that the graph server does not take: it edits"),
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
        ((), "--port and --rest_port are both missing: one of them is needed"),
        (("--port", "9001", "--rest_port", "9001"), "--port and --rest_port cannot be the same"),
    ],
)
def test_a_server_needs_a_port_and_two_of_them_differ(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*ECHO, *flags])
    assert (ended.value.code, text in capsys.readouterr().err) == (2, True)


def test_every_flag_of_ovms_is_known_by_name() -> None:
    served = {action.lstrip("-") for option in build_parser()._actions for action in option.option_strings}
    assert set(OVMS_HELP.split()) - served - REFUSED.keys() == set()
    assert not served & REFUSED.keys()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("OpenVINO Model Server")


def test_flags_of_ovms_without_effect_here_are_taken_and_said_to_be_so(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    log = tmp_path / "log"
    flags = (
        "--verbose_response",
        "--allowed_media_domains",
        "a.com",
        "--grpc_workers",
        "1",
        "--api_key_file",
        str(key),
    )
    with graph_server_process(*ECHO, *flags, "--log_path", str(log)):
        pass
    assert "--api_key_file has no effect: it guards the endpoints of generative models" in log.read_text()


def test_without_a_grpc_port_there_is_no_grpc() -> None:
    command = [sys.executable, "-m", "graph_server", *ECHO, "--rest_port", "0", "--exit_with_stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["grpc"] is None
        assert http(ready["rest"], "GET", "/v2/health/live")[0] == 200
        process.communicate(timeout=20)


def test_a_server_that_drains_says_that_it_is_not_ready_and_serves_on() -> None:
    with graph_server_process(*ECHO, "--drain_seconds", "60") as server:
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: http(server.rest_address, "GET", "/v2/health/ready")[0] == 503)
        assert unary(server.address, request(1)).outputs
        os.kill(server.pid, signal.SIGTERM)
        assert wait_until(lambda: server.exit_status is not None)


def test_rest_is_bound_to_several_addresses() -> None:
    flags = ("--rest_bind_address", "127.0.0.1,127.0.0.2")
    with graph_server_process(*ECHO, *flags) as server:
        host, _, port = str(server.rest_address).partition(":")
        assert host == "127.0.0.1"
        assert http(f"127.0.0.2:{port}", "GET", "/v2/health/ready")[0] == 200


def test_metrics_enable_may_have_a_value() -> None:
    with graph_server_process(*ECHO, "--metrics_enable=true") as server:
        assert http(server.rest_address, "GET", "/metrics")[0] == 200


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
    with pytest.raises(ConfigError, match=r"server\.key has no PEM certificate \(tls_client_ca\)"):
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
        told += process.communicate(timeout=110)[1].splitlines()
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
