"""What can be said of deploy/kubernetes without a cluster: kustomize renders it, schemas take it, and its parts fit."""

from pathlib import Path

import pytest
import yaml

from graph_server.cli.arguments import build_parser as server_parser
from stream_client.cli.flags import build_parser as client_parser
from stream_client.cli.fleet import build_parser as fleet_parser
from stream_client.fleet.plan import read_plans
from stream_client.run_settings import files_written
from tests.conftest import ROOT
from tests.support.envoy import CONFIGURATION
from tests.support.kubernetes import FOLDER, Resource, containers, pods, problems, rendered, resources

pytestmark = pytest.mark.environment
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/kustomization.yaml"))
WITH_PODS = ("servers", "own-balancing", "envoy", "fleet", "autoscaling")
TYPOS = {
    "Deployment": ("readinessProbe:", "readinesProbe:"),
    "Service": ("clusterIP:", "clusterIp:"),
    "ConfigMap": ("data:", "datas:"),
    "NetworkPolicy": ("podSelector:", "podSelektor:"),
    "PodDisruptionBudget": ("maxUnavailable:", "maxUnavailible:"),
    "PersistentVolumeClaim": ("accessModes:", "accessMode:"),
    "PrometheusRule": ("expr:", "exp:"),
    "ScaledObject": ("scaleTargetRef:", "scaleTargetref:"),
    "ServiceMonitor": ("endpoints:", "endpoint:"),
}
"""For each kind a word that its resources have, and a slip of the pen."""


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_follows_the_schemas(name: str, tmp_path: Path) -> None:
    assert problems(rendered(name), tmp_path) == []


def test_every_kind_has_a_typo_that_is_planted() -> None:
    assert {kind for name in NAMES for kind, _ in resources(name)} == set(TYPOS)


@pytest.mark.parametrize("kind", TYPOS)
def test_a_typo_is_caught(kind: str, tmp_path: Path) -> None:
    right, wrong = TYPOS[kind]
    texts = [yaml.safe_dump(each) for name in NAMES for (found, _), each in resources(name).items() if found == kind]
    text = next(text for text in texts if right in text)
    assert problems(text, tmp_path) == []
    assert problems(text.replace(right, wrong), tmp_path)


def test_a_value_of_another_type_and_an_unknown_kind_are_caught(tmp_path: Path) -> None:
    text = rendered("servers")
    assert problems(text.replace("replicas: 3", "replicas: x"), tmp_path)
    assert problems(text.replace("kind: Deployment", "kind: Deploiment"), tmp_path)


@pytest.mark.parametrize("name", WITH_PODS)
def test_containers_may_do_nothing_that_they_need_not(name: str) -> None:
    found = resources(name)
    for pod in pods(found).values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
    for container in containers(found).values():
        allowed = container["securityContext"]
        assert allowed["readOnlyRootFilesystem"]
        assert not allowed["allowPrivilegeEscalation"]
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", WITH_PODS)
def test_flags_and_ports_fit_together(name: str) -> None:
    found = resources(name)
    server = containers(found)["server"]
    flags = server_parser().parse_args(server["args"])
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert ports == {"grpc": flags.port, "http": flags.rest_port}
    assert pods(found)["ovms"]["terminationGracePeriodSeconds"] > flags.drain_seconds + 5
    service = found["Service", "ovms"]["spec"]
    assert service["clusterIP"] == "None"
    assert {port["name"]: port["port"] for port in service["ports"]} == ports


def allowed_to_servers(found: dict[tuple[str, str], Resource], client: str) -> bool:
    labels = found["Deployment", client]["spec"]["template"]["metadata"]["labels"]
    rule = found["NetworkPolicy", "ovms"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    return bool(rule.items() <= labels.items())


def test_the_client_finds_the_servers_by_their_headless_service() -> None:
    found = resources("own-balancing")
    flags = client_parser().parse_args(containers(found)["client"]["args"])
    assert flags.grpc_address == "dns:///ovms:9000"
    assert allowed_to_servers(found, "stream-client")


def test_envoy_has_the_configuration_that_is_tested() -> None:
    found = {kind: each for (kind, _), each in resources("envoy").items()}
    assert found["ConfigMap"]["data"]["envoy.yaml"] == CONFIGURATION.read_text()


def test_the_fleet_finds_its_streams_and_the_servers(tmp_path: Path) -> None:
    found = resources("fleet")
    container = containers(found)["fleet"]
    flags = fleet_parser().parse_args(container["args"][1:])
    assert container["args"][0] == "fleet"
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert mounts[str(flags.streams.parent)]["readOnly"]
    path = tmp_path / flags.streams.name
    path.write_text(found["ConfigMap", "streams"]["data"][flags.streams.name])
    plans = read_plans(path)
    assert {plan.settings["grpc_address"] for plan in plans} == {"dns:///ovms:9000"}
    written = [path for plan in plans for _, path in files_written(plan.settings)]
    assert "/data" in mounts
    assert len(written) == len(plans)
    assert all(path.is_relative_to("/data") for path in (flags.state, *written))
    assert container["ports"] == [{"name": "metrics", "containerPort": flags.metrics_port}]
    assert allowed_to_servers(found, "fleet")


def test_the_operators_alerts_are_those_of_the_file() -> None:
    rule = resources("monitoring")["PrometheusRule", "stream-client"]
    assert rule["spec"] == yaml.safe_load((ROOT / "grafana" / "alerts.yml").read_text())


def test_grafana_gets_the_dashboards_that_are_tested() -> None:
    found = resources("monitoring")["ConfigMap", "ovms-stream-client-dashboards"]
    assert found["data"] == {path.name: path.read_text() for path in (ROOT / "grafana" / "dashboards").iterdir()}


def test_prometheus_finds_a_service_and_a_port_for_each_monitor_and_may_reach_it() -> None:
    found, scraped = resources("monitoring"), resources("fleet")
    opened = {each["port"] for each in found["NetworkPolicy", "metrics"]["spec"]["ingress"][0]["ports"]}
    monitors = [each["spec"] for (kind, _), each in found.items() if kind == "ServiceMonitor"]
    assert len(monitors) == 2
    for monitor in monitors:
        wanted = monitor["selector"]["matchLabels"]
        (service,) = (
            each
            for (kind, _), each in scraped.items()
            if kind == "Service" and wanted.items() <= each["metadata"]["labels"].items()
        )
        ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
        assert {ports[each["port"]] for each in monitor["endpoints"]} <= opened
