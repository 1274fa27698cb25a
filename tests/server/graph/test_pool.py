"""Pools of graphs: # OVMS_GRAPH_QUEUE_MAX_SIZE in a graph's text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graph_server.config.server_config import read_config, single_servable
from graph_server.graph.runtime import Graph
from graph_server.metrics.registry import metrics_config
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.runtime import Runtime
from graph_server.servables.live import LiveServables
from graph_server.server import GraphServer
from tests.conftest import ROOT
from tests.support.graph_server import graph_server, http, request, stream, unary

ECHO = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()


def pooled(folder: Path, size: str = "1", text: str = ECHO) -> Path:
    (folder / "graph.pbtxt").write_text(f"{text}\n# OVMS_GRAPH_QUEUE_MAX_SIZE: {size}\n")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GraphServer]:
    config = single_servable("passThrough", pooled(tmp_path))
    with graph_server(config=config, rest_port=0, metrics=metrics_config(True, None)) as made:
        yield made


@pytest.mark.parametrize(("size", "told"), [("2", True), ("0", False)])
def test_loading_warns_of_a_pool_of_graphs_that_track(
    tmp_path: Path, models_dir: Path, caplog: pytest.LogCaptureFixture, size: str, told: bool
) -> None:
    path = tmp_path / "config.json"
    (tmp_path / "g").mkdir()
    pooled(tmp_path / "g", size, (ROOT / "graphs" / "iris_tracking" / "graph.pbtxt").read_text())
    shipped = json.loads((ROOT / "server_config" / "config.json").read_text())["model_config_list"]
    needed = ("face_detection", "face_landmark", "iris_landmark")
    models = [entry for entry in shipped if entry["config"]["name"] in needed]
    path.write_text(json.dumps({"model_config_list": [*models, {"config": {"name": "g"}}]}))
    with graph_server(config=read_config(path, {"models": models_dir})) as server:
        assert server.servables.is_pooled("g") == told
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("FaceLandmarkFrontCpu smooth or track from frame to frame" in text for text in warned) == told


def test_an_output_may_be_missing_in_a_unary_call_to_a_pooled_graph_but_not_to_others(tmp_path: Path) -> None:
    text = """
        input_stream: "IMAGE:image"
        output_stream: "IMAGE:output"
        output_stream: "IMAGE1:never"
        node { calculator: "PassThroughCalculator" input_stream: "image" output_stream: "output" }
        node {
          calculator: "GateCalculator"
          input_stream: "image"
          output_stream: "never"
          node_options: { [type.googleapis.com/mediapipe.GateCalculatorOptions] { allow: false } }
        }
    """
    config = single_servable("passThrough", pooled(tmp_path, text=text))
    with graph_server(config=config) as server:
        for timestamp in (1, 2):
            assert [output.name for output in unary(server.address, request(timestamp)).outputs] == ["output"]
        empty = request(3)
        del empty.inputs[:], empty.raw_input_contents[:]
        with pytest.raises(grpc.RpcError, match="Not all input packets created"):
            unary(server.address, empty)
        assert unary(server.address, request(1)).outputs[0].name == "output"  # in a new graph
    config = single_servable("passThrough", pooled(tmp_path, "0", text))
    with graph_server(config=config) as server, pytest.raises(grpc.RpcError, match="Unknown error during mediapipe"):
        unary(server.address, request(1))


def test_ovms_reports_neither_responses_nor_times_of_unary_calls_to_a_pool(server: GraphServer) -> None:
    unary(server.address, request(1))
    stream(server.address, request(2))
    page = http(server.rest_address, "GET", "/metrics")[2].decode()
    values = {
        (sample.name, sample.labels["method"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels.get("interface", "gRPC") == "gRPC" and "method" in sample.labels
    }
    for method, reported in (("ModelInfer", 0), ("ModelInferStream", 1)):
        assert values["ovms_requests_accepted_total", method] == 1
        assert values["ovms_responses_total", method] == reported
        assert values["ovms_graph_processing_time_us_count", method] == reported


def test_a_changed_graph_gets_a_new_pool_and_the_graphs_of_the_old_pool_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Graph] = []
    cancel = Graph.cancel

    def noted(self: Graph) -> None:
        ended.append(self)
        cancel(self)

    monkeypatch.setattr(Graph, "cancel", noted)
    (tmp_path / "g").mkdir()
    pooled(tmp_path / "g")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_config_list": [], "mediapipe_config_list": [{"name": "g"}]}))

    def read() -> Any:
        return read_config(path)

    live = LiveServables(read(), read, Runtime(), ServableMetrics())
    live.load()
    turn = live.current.graph_for_call("g")
    turn.start({}, lambda stream, value, timestamp: None)
    path.write_text(json.dumps({"model_config_list": [], "mediapipe_config_list": [{"name": "g"}, {"name": "h"}]}))
    live.reload_if_changed()
    assert not ended  # g has not changed
    pooled(tmp_path / "g", text=ECHO.replace('"output"', '"other"').replace("IMAGE:output", "IMAGE:other"))
    live.reload_if_changed()
    assert not ended  # its graph is in use
    turn.close_inputs()
    turn.wait_until_done()
    turn.cancel()
    assert len(ended) == 1
    live.close()
    assert len(ended) == 1  # no call took a graph of the new pool


def test_ovms_graph_queue_off_makes_every_call_a_graph_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVMS_GRAPH_QUEUE_OFF", "1")
    with graph_server(config=single_servable("passThrough", pooled(tmp_path))) as made:
        given = request(2)
        given.parameters["a_side_packet"].string_param = "is taken"
        assert unary(made.address, given).outputs[0].name == "output"
        assert unary(made.address, request(1)).outputs[0].name == "output"  # time does not go on
