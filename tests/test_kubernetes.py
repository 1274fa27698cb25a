"""What can be said of deploy/kubernetes without a cluster: kustomize renders it, and Kubernetes's schemas take it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph_server.cli.arguments import build_parser as server_parser
from stream_client.cli.flags import build_parser as client_parser
from tests.conftest import ROOT
from tests.support.environments import interpreter_of
from tests.support.envoy import CONFIGURATION

pytestmark = pytest.mark.environment
FOLDER = ROOT / "deploy" / "kubernetes"
NAMES = ("own-balancing", "envoy")


def program(name: str) -> str:
    return str(interpreter_of("kubernetes").with_name(name))


def rendered(name: str) -> str:
    command = [program("kubectl"), "kustomize", str(FOLDER / name)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def valid(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "rendered.yaml"
    path.write_text(text)
    command = [program("kubernetes-validate"), "--strict", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=NAMES)
def resources(request: pytest.FixtureRequest) -> dict[tuple[str, str], dict[str, Any]]:
    """Those of a folder, by kind and name."""
    found = yaml.safe_load_all(rendered(request.param))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def containers(resources: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    pods = [each["spec"]["template"]["spec"] for (kind, _), each in resources.items() if kind == "Deployment"]
    return {container["name"]: container for pod in pods for container in pod["containers"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_follows_the_schemas_and_a_typo_does_not(name: str, tmp_path: Path) -> None:
    text = rendered(name)
    done = valid(text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for right, wrong in (("readinessProbe", "readinesProbe"), ("replicas: 3", "replicas: x")):
        assert right in text
        assert valid(text.replace(right, wrong), tmp_path).returncode != 0, right


def test_containers_may_do_nothing_that_they_need_not(resources: dict[tuple[str, str], dict[str, Any]]) -> None:
    for (kind, _), each in resources.items():
        if kind == "Deployment":
            pod = each["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert pod["automountServiceAccountToken"] is False
    for container in containers(resources).values():
        allowed = container["securityContext"]
        assert allowed["readOnlyRootFilesystem"]
        assert not allowed["allowPrivilegeEscalation"]
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"]


def test_flags_and_ports_fit_together(resources: dict[tuple[str, str], dict[str, Any]]) -> None:
    server = containers(resources)["server"]
    flags = server_parser().parse_args(server["args"])
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert ports == {"grpc": flags.port, "http": flags.rest_port}
    pod = resources["Deployment", "ovms"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > flags.drain_seconds + 5
    service = resources["Service", "ovms"]["spec"]
    assert service["clusterIP"] == "None"
    assert {port["name"]: port["port"] for port in service["ports"]} == ports


def test_the_client_finds_the_servers_by_their_headless_service() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(rendered("own-balancing"))}
    flags = client_parser().parse_args(containers(found)["client"]["args"])
    assert flags.grpc_address == "dns:///ovms:9000"
    labels = found["Deployment", "stream-client"]["spec"]["template"]["metadata"]["labels"]
    policy = found["NetworkPolicy", "ovms"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items()


def test_envoy_has_the_configuration_that_is_tested() -> None:
    found = {each["kind"]: each for each in yaml.safe_load_all(rendered("envoy")) if each["kind"] == "ConfigMap"}
    assert found["ConfigMap"]["data"]["envoy.yaml"] == CONFIGURATION.read_text()
