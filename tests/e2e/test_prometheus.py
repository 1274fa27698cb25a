"""Real runs, scraped by a real Prometheus: every query of the dashboards and every alert gets its data."""

import json
import math
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import yaml

from graph_server.assets import ensure_clip
from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.events.outputs.factory import open_event_output
from stream_client.events.read import parse_rules
from stream_client.events.sink import EventsSink
from stream_client.monitoring.prometheus import Metrics, MetricsServer
from stream_client.monitoring.statistics import Statistics
from stream_client.publishing.options import SinkOptions
from stream_client.sinks.factory import open_sink
from stream_client.sources.file import FileSource
from tests.conftest import ROOT
from tests.support.graph_server import graph_server_process
from tests.support.kserve_server import ScriptedServer, slow
from tests.support.ports import free_port
from tests.support.prometheus import Prometheus
from tests.support.video import write_video
from tests.support.waiting import wait_until

WINDOW = "6s"
RULES = parse_rules({"rule": [{"name": "now and then", "when": "frame % 20 == 0"}]})
LATENCY_TOO = (
    "ovms_current_graphs,ovms_requests_accepted,ovms_requests_rejected,ovms_responses,ovms_graph_error,"
    "ovms_graph_processing_time_us,ovms_graph_request_latency_us,ovms_inference_time_us,"
    "ovms_wait_for_infer_req_time_us,ovms_streams,ovms_infer_req_active,ovms_infer_req_queue_size"
)
BOARDS = {
    name: json.loads((ROOT / "grafana" / "dashboards" / f"{name}.json").read_text()) for name in ("client", "server")
}
QUERIES = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']}, {target['refId']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
VARIABLES = [
    pytest.param(variable["query"]["query"], id=f"{name}: {variable['name']}")
    for name, board in BOARDS.items()
    for variable in board["templating"]["list"]
    if variable["type"] == "query"
]
ALERTS = [
    pytest.param(rule["expr"], id=rule["alert"])
    for group in yaml.safe_load((ROOT / "grafana" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


def host(url: str) -> str:
    return urlsplit(url).netloc


def filled_in(expression: str) -> str:
    """A dashboard's query as Grafana sends it, with every stream and model chosen."""
    return re.sub(r"\$(?!__)\w+", ".*", expression.replace("$__rate_interval", WINDOW))


class Scraped:
    """A Prometheus that has seen a run, and when that was."""

    def __init__(self, prometheus: Prometheus, start: float) -> None:
        self.prometheus, self.start = prometheus, start

    def values(self, expression: str) -> list[float]:
        """Every number, but for nan, that an expression had while the run went on."""
        series = self.prometheus.query_range(expression, self.start, time.time(), 0.5)
        return [number for each in series for _, text in each["values"] if not math.isnan(number := float(text))]

    def waited_for(self, expression: str) -> list[float]:
        """The same, once there is one: the last scrape may be younger than the last step of the range."""
        return wait_until(lambda: self.values(expression))

    def last(self, expression: str) -> float:
        """The one number that an expression has after the run."""
        ((_, text),) = [each["value"] for each in self.prometheus.query(expression)]
        return float(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Scraped]:
    """The graph server with its metrics, a client with its own: a session, and unary calls, with a replica away."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = ROOT / "server_config" / "config.json"
    flags = ("--config_path", str(config), "--models_dir", str(models_dir))
    with ExitStack() as stack:
        graph_server = stack.enter_context(
            graph_server_process(*flags, "--metrics_enable", "--metrics_list", LATENCY_TOO)
        )
        tally = Statistics()
        served = stack.enter_context(MetricsServer(Metrics([tally]), port=0))
        targets = {"stream-client": host(served.url), "ovms": str(graph_server.rest_address)}
        start = time.time()
        scraped = Scraped(stack.enter_context(Prometheus.start(folder, targets)), start)
        replicas = f"{graph_server.address},127.0.0.1:{free_port()}"
        runs: tuple[tuple[Literal["unary", "stream"], str, float], ...] = (
            ("unary", replicas, 2.5),
            ("stream", graph_server.address, 4.0),
        )
        for api, address, seconds in runs:
            events = EventsSink(RULES, [open_event_output(str(folder / "events.jsonl"))], folder=folder / "events")
            sinks = [open_sink(str(folder / f"{api}.mp4"), SinkOptions()), events]
            StreamClient(
                FileSource(ensure_clip(), realtime=True, loop=True),
                sinks,
                TransportOptions(address, api=api, model_name="holisticClassifier"),
                options=RunOptions(limit_stream_duration=seconds, max_side=320),
                observers=[tally],
            ).run()
        # Sessions are counted when they end; an increase takes two scrapes.
        scraped.prometheus.wait_for(
            f'rate(ovms_graph_processing_time_us_count{{method="ModelInferStream"}}[{WINDOW}]) > 0'
        )
        scraped.prometheus.wait_for(
            'stream_client_connection_state{connection="server", stream_client_connection_state="ended"} == 1'
        )
        yield scraped


@pytest.mark.parametrize("expression", QUERIES)
def test_every_query_of_the_dashboards_has_data(run: Scraped, expression: str) -> None:
    assert run.waited_for(filled_in(expression))


@pytest.mark.parametrize("query", VARIABLES)
def test_every_variable_of_the_dashboards_has_choices(run: Scraped, query: str) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert found is not None
    assert run.waited_for(f"count by ({found[2]}) ({filled_in(found[1])})")


@pytest.mark.parametrize("expression", ALERTS)
def test_every_alert_has_something_to_compare_with_its_target(run: Scraped, expression: str) -> None:
    watched, _, target = expression.rpartition(">") if ">" in expression else expression.rpartition("==")
    float(target)
    assert run.waited_for(watched)


def test_the_stages_that_prometheus_saw_add_up_to_the_latency(run: Scraped) -> None:
    ratio = "sum(stream_client_stage_seconds_sum) / sum(stream_client_latency_seconds_sum)"
    assert run.last(ratio) == pytest.approx(1.0, abs=0.05)


def test_the_client_and_the_server_count_the_same_frames(run: Scraped) -> None:
    delivered = run.last('stream_client_frames_total{outcome="delivered"}')
    accepted = run.last('sum(ovms_requests_accepted{name="holisticClassifier"})')
    assert 0 < delivered <= accepted


def test_alerts_fire_on_a_slow_server_that_goes_away(tmp_path: Path) -> None:
    """Real faults: latency above the target, frames dropped, the server lost; each as its rule sees it."""
    clip = write_video(tmp_path / "clip.mp4", frames=30)
    rules: dict[str, Any] = {str(param.id): param.values[0] for param in ALERTS}
    tally = Statistics()
    with ScriptedServer() as server, MetricsServer(Metrics([tally]), port=0) as served:
        server.script = slow(0.7)
        client = StreamClient(
            FileSource(clip, realtime=True, loop=True),
            (),
            TransportOptions(server.address, model_name="graph"),
            options=RunOptions(max_inflight=1),
            observers=[tally],
        )
        with Prometheus.start(tmp_path, {"stream-client": host(served.url)}) as prometheus, client:
            client.start()
            assert not prometheus.query(rules["ServerLost"])
            prometheus.wait_for(rules["LatencyAboveTarget"])
            prometheus.wait_for(rules["DropsAboveTarget"])
            server.stop()
            prometheus.wait_for(rules["ServerLost"])
            assert not prometheus.query(rules["SourceLost"])
