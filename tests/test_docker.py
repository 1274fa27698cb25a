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


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"])


def substituted(words: list[str]) -> list[str]:
    """Each ``${NAME:-default}`` and ``${NAME:+other}`` as compose takes it where the variable is not set."""
    words = [re.sub(r"\$\{\w+:?\+[^}]*\}", "", word) for word in words]
    return [re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", word) for word in words]


def instructions(path: Path, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", path.read_text(), re.MULTILINE)


def test_the_dockerfiles_pass_the_linter() -> None:
    done = subprocess.run([TOOLS / "hadolint", *DOCKERFILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_follows_the_specification() -> None:
    command = [str(TOOLS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_copies_only_what_is_there_and_does_not_run_as_root(path: Path) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in instructions(path, "COPY"):
        if not line.startswith("--"):
            *sources, _ = line.split()
            assert all((ROOT / source).exists() for source in sources), line
            assert set(sources) <= let_in, line
    first, *_, last = instructions(path, "FROM")
    assert first.endswith("AS build")
    assert "AS build" not in last
    assert instructions(path, "USER")[-1] not in ("root", "0")


def test_what_compose_mounts_and_builds_is_there(services: dict[str, Any]) -> None:
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), source
        if "build" in service:
            context = DOCKER / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).exists()


def test_ports_are_open_to_this_machine_only_unless_asked(services: dict[str, Any]) -> None:
    for service in services.values():
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


def test_ovms_finds_its_configuration_its_graphs_and_its_models(services: dict[str, Any]) -> None:
    ovms = services["ovms"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in ovms["volumes"])
    command = substituted(ovms["command"])
    config = Path(command[command.index("--config_path") + 1])
    assert mounts[str(config)] == "../server_config/config.json"
    assert mounts[str(config.parent / "graphs")] == "../graphs"
    assert mounts[str(config.parent / "models")] == services["models"]["volumes"][0].split(":")[0]
    # OVMS refuses --metrics_enable beside a section of its own in the file.
    assert "--metrics_enable" in command
    assert "monitoring" not in (ROOT / "server_config" / "config.json").read_text()


def test_ovms_with_python_finds_its_configuration_and_is_a_stage_of_its_own(services: dict[str, Any]) -> None:
    ovms = services["ovms"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in ovms["volumes"])
    command = [word.replace("${OVMS:+_python}", "_python") for word in ovms["command"]]
    assert mounts[command[command.index("--config_path") + 1]] == "../server_config/config_python.json"
    stages = instructions(DOCKER / "ovms-holistic.Dockerfile", "FROM")
    assert [stage.split(" AS ")[-1] for stage in stages] == ["build", "stock", "python"]
    assert ovms["build"]["target"] == "${OVMS:-stock}"
    folder = instructions(DOCKER / "ovms-holistic.Dockerfile", "RUN")[-1].split()[-1]
    assert f'MODELS = Path("{folder}")' in (ROOT / "graphs" / "holistic_python" / "holistic.py").read_text()
