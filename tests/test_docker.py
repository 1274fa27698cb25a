"""What can be said of the container files without a container engine."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph_server.cli.arguments import build_parser as server_parser
from stream_client.cli.flags import build_parser as client_parser
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
TOOLS = Path(sys.executable).parent


COMPOSE = sorted(DOCKER.glob("compose*.yaml"))


def services_of(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["services"])


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return services_of(DOCKER / "compose.yaml")


@pytest.fixture(params=COMPOSE, ids=lambda path: path.name)
def some_services(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Those of each compose file."""
    return services_of(request.param)


def substituted(words: list[str]) -> list[str]:
    """Each ``${NAME:-default}`` and ``${NAME:+other}`` as compose takes it where the variable is not set."""
    words = [re.sub(r"\$\{\w+:?\+[^}]*\}", "", word) for word in words]
    return [re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", word) for word in words]


def instructions(path: Path, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", path.read_text(), re.MULTILINE)


def test_the_dockerfiles_pass_the_linter() -> None:
    done = subprocess.run([TOOLS / "hadolint", *DOCKERFILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_a_compose_file_follows_the_specification(path: Path) -> None:
    command = [str(TOOLS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_copies_only_what_is_there_and_does_not_run_as_root(path: Path) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in instructions(path, "COPY"):
        if not line.startswith("--"):
            *sources, _ = line.split()
            assert all((ROOT / source).exists() for source in sources), line
            assert all(Path(source).parts[0] in let_in or source in let_in for source in sources), line
    first, *_, last = instructions(path, "FROM")
    assert first.endswith("AS build")
    assert "AS build" not in last
    assert instructions(path, "USER")[-1] not in ("root", "0")


def test_what_compose_mounts_and_builds_is_there(some_services: dict[str, Any]) -> None:
    for service in some_services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), source
        if "build" in service:
            context = DOCKER / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).exists()


def test_ports_are_open_to_this_machine_only_unless_asked(some_services: dict[str, Any]) -> None:
    for service in some_services.values():
        for port in substituted(service.get("ports", [])):
            assert port.startswith("127.0.0.1:"), port


def test_the_clients_flags_are_the_clients(services: dict[str, Any]) -> None:
    flags = client_parser().parse_args(substituted(services["client"]["command"]))
    assert flags.grpc_address == "ovms:9000"
    assert flags.output_stream == ["rtsp://mediamtx:8554/annotated"]


def test_the_graph_servers_flags_are_its_own() -> None:
    words = yaml.safe_load(instructions(DOCKER / "graph-server.Dockerfile", "CMD")[-1])
    flags = server_parser().parse_args(words)
    assert (flags.port, flags.rest_port, flags.grpc_bind_address) == (9000, 8000, "0.0.0.0")


def test_ovms_finds_its_configuration_its_graphs_and_its_models(some_services: dict[str, Any]) -> None:
    ovms = some_services["ovms"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in ovms["volumes"])
    command = substituted(ovms["command"])
    config = Path(command[command.index("--config_path") + 1])
    assert mounts[str(config)] == "../server_config/config.json"
    assert mounts[str(config.parent / "graphs")] == "../graphs"
    assert mounts[str(config.parent / "models")] == some_services["models"]["volumes"][0].split(":")[0]
    # OVMS refuses --metrics_enable beside a section of its own in the file.
    assert "--metrics_enable" in command
    assert "monitoring" not in (ROOT / "server_config" / "config.json").read_text()


def test_ovms_with_python_finds_its_configuration_and_is_a_stage_of_its_own(some_services: dict[str, Any]) -> None:
    ovms = some_services["ovms"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in ovms["volumes"])
    command = [word.replace("${OVMS:+_python}", "_python") for word in ovms["command"]]
    assert mounts[command[command.index("--config_path") + 1]] == "../server_config/config_python.json"
    stages = instructions(DOCKER / "ovms-holistic.Dockerfile", "FROM")
    assert [stage.split(" AS ")[-1] for stage in stages] == ["build", "stock", "python"]
    assert ovms["build"]["target"] == "${OVMS:-stock}"
    folder = instructions(DOCKER / "ovms-holistic.Dockerfile", "RUN")[-1].split()[-1]
    assert f'MODELS = Path("{folder}")' in (ROOT / "graphs" / "holistic_python" / "holistic.py").read_text()


def test_envoy_balances_between_the_replicas_that_compose_starts() -> None:
    services = services_of(DOCKER / "compose.scale.yaml")
    (cluster,) = yaml.safe_load((ROOT / "deploy" / "envoy" / "envoy.yaml").read_text())["static_resources"]["clusters"]
    (replica,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address = replica["endpoint"]["address"]["socket_address"]
    command = substituted(services[address["address"]]["command"])
    assert services[address["address"]]["scale"] == 3
    assert "ports" not in services[address["address"]]  # three cannot have one port
    assert command[command.index("--port") + 1] == str(address["port_value"])
    check = replica["endpoint"]["health_check_config"]["port_value"]
    assert command[command.index("--rest_port") + 1] == str(check)
