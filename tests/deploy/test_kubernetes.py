"""What can be said of deploy/kubernetes without a cluster: kustomize renders it, schemas take it, and its parts fit."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from graph_server.cli.arguments import build_parser as server_parser
from stream_client.cli.flags import build_parser as client_parser
from stream_client.cli.fleet import build_parser as fleet_parser
from stream_client.fleet.plan import read_plans
from stream_client.run_files import files_written
from tests.conftest import ROOT
from tests.support.envoy import CONFIGURATION
from tests.support.kubernetes import FOLDER, Resource, containers, nodes, pods, problems, rendered, resources

pytestmark = pytest.mark.environment
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/kustomization.yaml"))
WITH_PODS = ("servers", "ovms", "own-balancing", "envoy", "fleet", "autoscaling", "ray")
TYPOS = {
    "Deployment": ("readinessProbe:", "readinesProbe:"),
    "Service": ("clusterIP:", "clusterIp:"),
    "ConfigMap": ("data:", "datas:"),
    "InferenceService": ("minReplicas:", "minReplica:"),
    "NetworkPolicy": ("podSelector:", "podSelektor:"),
    "PodDisruptionBudget": ("maxUnavailable:", "maxUnavailible:"),
    "PersistentVolumeClaim": ("accessModes:", "accessMode:"),
    "PrometheusRule": ("expr:", "exp:"),
    "RayCluster": ("rayStartParams:", "rayStartParam:"),
    "ScaledObject": ("scaleTargetRef:", "scaleTargetref:"),
    "ServingRuntime": ("containerPort:", "containerport:"),
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


def test_a_typo_in_a_pod_of_the_ray_cluster_is_caught(tmp_path: Path) -> None:
    text = rendered("ray")
    assert problems(text.replace("readinessProbe:", "readinesProbe:"), tmp_path)
    assert problems(text.replace("name: ray-worker", "naem: ray-worker"), tmp_path)


def allowed_to_servers(found: dict[tuple[str, str], Resource], client: str) -> bool:
    return allowed(found, found["Deployment", client]["spec"]["template"])


def allowed(found: dict[tuple[str, str], Resource], pod: Resource) -> bool:
    labels = pod["metadata"]["labels"]
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


def check_fleet(found: dict[tuple[str, str], Resource], folder: Path) -> tuple[Resource, Namespace]:
    """The container of a fleet that finds its streams, may write what it writes, and is scraped; and its flags."""
    container = containers(found)["fleet"]
    flags = fleet_parser().parse_args(container["args"][1:])
    assert container["args"][0] == "fleet"
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert mounts[str(flags.streams.parent)]["readOnly"]
    path = folder / flags.streams.name
    path.write_text(found["ConfigMap", "streams"]["data"][flags.streams.name])
    plans = read_plans(path)
    assert {plan.settings["grpc_address"] for plan in plans} == {"dns:///ovms:9000"}
    written = [path for plan in plans for _, path in files_written(plan.settings)]
    assert "/data" in mounts
    assert len(written) == len(plans)
    assert all(path.is_relative_to("/data") for path in (flags.state, *written))
    assert container["ports"] == [{"name": "metrics", "containerPort": flags.metrics_port}]
    (port,) = found["Service", "fleet"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (flags.metrics_port, "metrics")
    return container, flags


def test_the_fleet_finds_its_streams_and_the_servers(tmp_path: Path) -> None:
    found = resources("fleet")
    check_fleet(found, tmp_path)
    assert allowed_to_servers(found, "fleet")


def test_the_fleet_of_a_ray_cluster_reaches_its_head_with_the_clusters_token(tmp_path: Path) -> None:
    found = resources("ray")
    container, flags = check_fleet(found, tmp_path)
    cluster = found["RayCluster", "streams"]
    assert (flags.engine, flags.address) == ("ray", f"ray://{cluster['metadata']['name']}-head-svc:10001")
    given = {each["name"]: each for each in container["env"]}
    assert given["RAY_AUTH_MODE"]["value"] == cluster["spec"]["authOptions"]["mode"]
    assert given["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {
        "name": cluster["metadata"]["name"],
        "key": "auth_token",
    }
    labels = found["Deployment", "fleet"]["spec"]["template"]["metadata"]["labels"]
    (reached,) = (each for each in found["NetworkPolicy", "ray"]["spec"]["ingress"] if "ports" in each)
    assert reached["from"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    assert [each["port"] for each in reached["ports"]] == [10001]
    for node in nodes(cluster):  # they see what the fleet sees, under the same names
        assert node["spec"]["containers"][0]["image"] == container["image"]
        assert {"name": "data", "mountPath": "/data"} in node["spec"]["containers"][0]["volumeMounts"]
    plans = read_plans(tmp_path / flags.streams.name)
    assert all("{epoch}" in str(path) for plan in plans for _, path in files_written(plan.settings))


def test_kserve_serves_what_ovms_does_where_clients_look_for_it() -> None:
    found, usual = resources("kserve"), resources("ovms")
    (runtime,) = found["ServingRuntime", "ovms-graphs"]["spec"]["containers"]
    model = found["InferenceService", "holistic"]["spec"]["predictor"]["model"]
    formats = [each["name"] for each in found["ServingRuntime", "ovms-graphs"]["spec"]["supportedModelFormats"]]
    assert (model["runtime"], [model["modelFormat"]["name"]]) == ("ovms-graphs", formats)
    served = containers(usual)["server"]
    assert runtime["image"] == served["image"]
    assert [*runtime["args"][:1], *runtime["args"][2:]] == [*served["args"][:1], *served["args"][2:]]
    flags = server_parser().parse_args(runtime["args"])
    assert flags.config_path == Path("/mnt/models/config.json")
    assert flags.metrics_enable
    annotations = found["ServingRuntime", "ovms-graphs"]["spec"]["annotations"]
    assert annotations["prometheus.kserve.io/port"] == str(flags.rest_port)
    ports = [(port["name"], port["containerPort"]) for port in runtime["ports"]]
    assert ports == [("http", flags.rest_port), ("grpc", flags.port)]  # KServe's service has port 80 for the first
    service, headless = found["Service", "ovms"]["spec"], usual["Service", "ovms"]["spec"]
    assert [each["port"] for each in service["ports"]] == [each["port"] for each in headless["ports"]]
    assert service["clusterIP"] == "None"
    assert runtime["securityContext"]["readOnlyRootFilesystem"]


def test_ovms_finds_its_repository() -> None:
    pod = pods(resources("ovms"))["ovms"]
    (filling,) = pod["initContainers"]
    server = containers(resources("ovms"))["server"]
    (target,) = (each["mountPath"] for each in filling["volumeMounts"] if each["name"] == "repository")
    assert filling["command"][-1] == target
    copied = {Path(each).name for each in filling["command"][2:-1]}
    config = Path(server_parser().parse_args(server["args"]).config_path)
    assert config.parent == Path(target)
    assert config.name in copied
    listed = json.loads((ROOT / "server_config" / "config.json").read_text())["model_config_list"]
    assert {Path(each["config"]["base_path"]).parts[0] for each in listed} <= copied
    dockerfile = (ROOT / "docker" / "graph-server.Dockerfile").read_text()
    assert all(f" {each}\n" in dockerfile for each in filling["command"][2:-1])


def test_nodes_of_ray_are_of_one_image_see_one_folder_and_reach_the_servers() -> None:
    found = resources("ray")
    head, *workers = nodes(found["RayCluster", "streams"])
    assert workers
    for node in (head, *workers):
        (container,) = node["spec"]["containers"]
        assert container["image"] == "ovms-stream-client"
        assert "/data" in {each["mountPath"] for each in container["volumeMounts"]}
        assert container["securityContext"] == head["spec"]["containers"][0]["securityContext"]
        assert node["spec"]["securityContext"]["runAsNonRoot"]
        assert allowed(found, node)
        rule = found["NetworkPolicy", "ray"]["spec"]
        assert rule["podSelector"]["matchLabels"].items() <= node["metadata"]["labels"].items()
    assert found["PersistentVolumeClaim", "shared"]["spec"]["accessModes"] == ["ReadWriteMany"]
    groups = [found["RayCluster", "streams"]["spec"]["headGroupSpec"]]
    groups += found["RayCluster", "streams"]["spec"]["workerGroupSpecs"]
    probes = {group["template"]["spec"]["containers"][0]["readinessProbe"]["tcpSocket"]["port"] for group in groups}
    assert {int(group["rayStartParams"]["node-manager-port"]) for group in groups} == probes


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
