"""The dashboards, as far as they can be judged without data: schema, layout, wiring."""

import json
import re
import sys
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "grafana" / "dashboards"
NAMES = ("client", "server")


def dashboard(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Grafana's schema as a package begins with Python 3.11")
@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_follows_grafanas_schema(name: str) -> None:
    from tests.support.grafana_schema import problems

    assert problems(dashboard(name)) == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Grafana's schema as a package begins with Python 3.11")
def test_the_schema_tells_wrong_names_and_wrong_values() -> None:
    from tests.support.grafana_schema import problems

    board = dashboard("client")
    board["panels"][0]["gridPos"]["w"] = "4"
    board["panels"][6]["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "zigzag"
    board["panels"][6]["options"]["legnd"] = {}
    board["panels"][1]["targets"][0]["exp"] = "up"
    found = " ".join(problems(board))
    assert all(word in found for word in ("grid_pos.w", "zigzag", "legnd is unknown", "exp is unknown"))
    assert len(problems(board)) == 4


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_numbers_titles_and_explanations_and_do_not_overlap(name: str) -> None:
    panels = dashboard(name)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] for panel in panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_asks_the_chosen_data_source_and_only_for_variables_that_are_there(name: str) -> None:
    board = dashboard(name)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in board["panels"]:
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "${datasource}"
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables | {"__rate_interval"}


SELECTED = 'job=~"$job", instance=~"$instance"'


@pytest.mark.parametrize("name", NAMES)
def test_clients_and_servers_are_told_apart_by_job_and_instance(name: str) -> None:
    board = dashboard(name)
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    for each in ("job", "instance"):
        variable = variables[each]
        assert (variable["multi"], variable["allValue"], variable["label"]) == (True, ".+", each.title())
    for variable in list(variables.values())[3:]:
        assert SELECTED in variable["query"]["query"]
    for panel in board["panels"]:
        for target in panel["targets"]:
            selectors = re.findall(r"\{([^}]*)\}", target["expr"])
            assert selectors
            assert all(selector.startswith(SELECTED) for selector in selectors), target["expr"]
            named = re.findall(r"\b(?:ovms|process|stream_client)_\w+(?=\{)", target["expr"])
            assert len(named) == len(selectors)


@pytest.mark.parametrize("name", NAMES)
def test_dashboards_are_edited_in_their_files_only(name: str) -> None:
    assert dashboard(name)["editable"] is False


def test_compose_mounts_what_provisioning_names(services: dict[str, Any]) -> None:
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/dashboards.yaml").read_text())["providers"][0]
    assert mounts["../grafana/dashboards"] == provider["options"]["path"]
    assert mounts["../grafana/provisioning"] == "/etc/grafana/provisioning"
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/client.json"


def test_dashboards_begin_with_the_data_source_that_is_provisioned(services: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    for name in NAMES:
        first = dashboard(name)["templating"]["list"][0]
        assert (first["type"], first["current"]["value"]) == ("datasource", source["uid"])


def test_prometheus_scrapes_the_ports_that_compose_opens(services: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "docker" / "prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    command = services["client"]["command"]
    assert targets["stream-client"] == [f"client:{command[command.index('--metrics_port') + 1]}"]
    assert command[command.index("--metrics_address") + 1] == "0.0.0.0"
    assert targets["ovms"] == ["ovms:8000", "graph-server:8000"]
    assert {"ovms", "graph-server"} <= set(services)
    mounts = dict(volume.split(":")[:2] for volume in services["prometheus"]["volumes"])
    assert [mounts["../grafana/alerts.yml"]] == config["rule_files"]
