"""One bad entry spoils no other, and what OVMS says of models and graphs that are not served: each test is a rule."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import openvino as ov
import pytest

from graph_server.config.server_config import read_config, single_servable
from graph_server.errors import ConfigError
from graph_server.metrics.registry import metrics_config
from graph_server.server import GraphServer, ServerOptions
from graph_server.service import servable_calls
from kserve_wire.messages import (
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from kserve_wire.names import method_path
from tests.conftest import ROOT
from tests.support.calls import calling
from tests.support.graph_server import http, write_onnx

NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "Model with requested version is not found")
UNKNOWN_NAME = (grpc.StatusCode.NOT_FOUND, "Model with requested name is not found")
NOT_LOADED = (grpc.StatusCode.UNAVAILABLE, "Model with requested version is not loaded yet")
RETIRED = (grpc.StatusCode.NOT_FOUND, "Model with requested version is retired")
GRAPH_RETIRED = (grpc.StatusCode.NOT_FOUND, "Mediapipe is retired")
BODY = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}'
ECHO = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()


class Place:
    """A folder with a configuration, and the server of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self.server: GraphServer

    def write(self, *entries: dict[str, Any]) -> None:
        """The configuration: these, and a model that is fine."""
        model(self.folder / "good")
        listed = [*entries, {"name": "good", "base_path": "good"}]
        content = {"model_config_list": [{"config": entry} for entry in listed]}
        (self.folder / "config.json").write_text(json.dumps(content))

    def serve(self, *entries: dict[str, Any]) -> "Place":
        """Start it."""
        self.write(*entries)

        def read() -> Any:
            return read_config(self.folder / "config.json")

        options = ServerOptions(port=0, rest_port=0, metrics=metrics_config(True, None))
        self.server = GraphServer(read(), options, read)
        self._stack.callback(self.server.stop, 0)
        self.server.start()
        return self

    def close(self) -> None:
        self._stack.close()

    def call(self, method: str, request: Any, response: Any) -> Any:
        """The answer, or code and text."""
        with grpc.insecure_channel(self.server.address) as channel:
            try:
                data = calling(channel, method_path(method))(request.SerializeToString(), timeout=20)
            except grpc.RpcError as error:
                return error.code(), error.details()
        return response.FromString(data)

    def ready(self, name: str, version: str = "") -> Any:
        answer = self.call("ModelReady", ModelReadyRequest(name=name, version=version), ModelReadyResponse)
        return answer if isinstance(answer, tuple) else answer.ready

    def metadata(self, name: str, version: str = "") -> Any:
        return self.call("ModelMetadata", ModelMetadataRequest(name=name, version=version), ModelMetadataResponse)

    def infer(self, name: str, version: str = "") -> Any:
        request = ModelInferRequest(model_name=name, model_version=version)
        request.inputs.add(name="x", datatype="FP32", shape=(1,))
        request.raw_input_contents.append(np.ones(1, np.float32).tobytes())
        return self.call("ModelInfer", request, ModelInferResponse)

    def states(self) -> dict[str, dict[str, tuple[str, str]]]:
        """State and error code of every version, as ``/v1/config`` tells them."""
        content = json.loads(http(self.server.rest_address, "GET", "/v1/config")[2])
        return {
            name: {
                item["version"]: (item["state"], item["status"]["error_code"]) for item in entry["model_version_status"]
            }
            for name, entry in content.items()
        }

    def reload(self) -> tuple[int, Any]:
        status, _, body = http(self.server.rest_address, "POST", "/v1/config/reload")
        return status, json.loads(body)

    def failed_requests(self, name: str, interface: str) -> int:
        """How many inferences of version 1 are counted as failed."""
        page = http(self.server.rest_address, "GET", "/metrics")[2].decode()
        labels = (f'name="{name}"', f'interface="{interface}"', 'method="ModelInfer"', 'version="1"')
        lines = [line for line in page.splitlines() if line.startswith("ovms_requests_fail{")]
        return sum(int(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


def model(folder: Path, version: int = 1, content: bytes | None = None) -> None:
    path = write_onnx(folder / str(version) / "m.onnx", inputs={"x": (1,)}, factor=float(version))
    if content is not None:
        path.write_bytes(content)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def no_name_output(folder: Path) -> None:
    """A model with an output that has no name."""
    parameter = ov.opset13.parameter([1], ov.Type.f32, name="x")
    relu = ov.opset13.relu(parameter)
    made = ov.Model([relu], [parameter], "m")
    made.outputs[0].get_tensor().set_names(set())
    (folder / "1").mkdir(parents=True)
    ov.save_model(made, str(folder / "1" / "m.xml"))


@pytest.mark.parametrize("device", ["AUTO", "HETERO:CPU", "AUTO:CPU"])
def test_a_model_on_auto_or_hetero_is_served(place: Place, device: str) -> None:
    model(place.folder / "m")
    place.serve({"name": "m", "base_path": "m", "target_device": device})
    assert place.infer("m").outputs[0].name == "x_out"
    assert place.infer("good").model_name == "good"


def test_an_output_without_a_name_is_called_out_and_its_number(place: Place) -> None:
    no_name_output(place.folder / "m")
    place.serve({"name": "m", "base_path": "m"})
    assert [output.name for output in place.metadata("m").outputs] == ["out_0"]
    assert place.infer("m").outputs[0].name == "out_0"


@pytest.mark.parametrize(
    ("entry", "ready"),
    [
        ({"base_path": "../m"}, NOT_FOUND),
        ({"base_path": "nowhere"}, NOT_FOUND),
        ({"base_path": "empty"}, NOT_FOUND),
        ({"base_path": "s3://bucket/m"}, NOT_FOUND),
        ({"base_path": "unreadable"}, NOT_FOUND),
        ({"base_path": "m", "target_device": "NPX"}, NOT_FOUND),
        ({"base_path": "m", "nireq": 100_001}, NOT_FOUND),
        ({"base_path": "m", "shape": {"y": "(1)"}}, NOT_FOUND),
        ({"base_path": "m", "layout": "XY"}, UNKNOWN_NAME),
        ({}, NOT_FOUND),
        ({"base_path": "m", "custom_loader_options": {"loader_name": "x"}}, NOT_FOUND),
        ({"base_path": "m", "shape": "what?"}, True),
        ({"base_path": "m", "batch_size": "many"}, True),
        ({"base_path": "m", "batch_size": "auto"}, True),
    ],
)
def test_one_bad_entry_leaves_the_others_served(place: Place, entry: dict[str, Any], ready: Any) -> None:
    model(place.folder / "m")
    model(place.folder / "unreadable", content=b"no model")
    (place.folder / "empty").mkdir()
    place.serve({"name": "bad", **entry})
    assert place.ready("bad") == ready
    assert place.ready("good") is True
    assert place.infer("good").outputs[0].name == "x_out"


def test_a_model_without_versions_has_no_states(place: Place) -> None:
    place.serve({"name": "bad", "base_path": "nowhere"})
    assert place.states()["bad"] == {}
    assert place.metadata("bad") == NOT_FOUND
    assert place.infer("bad") == NOT_FOUND


def test_a_version_that_cannot_be_read_is_loading_with_the_error_unknown(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servable_calls, "LOADING_SECONDS", 0.2)
    model(place.folder / "bad", content=b"no model")
    place.serve({"name": "bad", "base_path": "bad"})
    assert place.states()["bad"] == {"1": ("LOADING", "UNKNOWN")}
    assert place.ready("bad", "1") is False
    assert place.metadata("bad", "1") == NOT_LOADED
    assert place.infer("bad", "1") == NOT_LOADED
    for ask in (place.ready, place.metadata, place.infer):
        assert ask("bad") == NOT_FOUND
        assert ask("bad", "2") == NOT_FOUND


def test_an_inference_waits_for_a_version_that_is_mended_meanwhile(place: Place) -> None:
    model(place.folder / "bad", content=b"no model")
    place.serve({"name": "bad", "base_path": "bad"})
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(place.infer("bad", "1")))
    thread.start()
    model(place.folder / "bad")
    assert place.reload()[0] == 201
    thread.join()
    assert answers[0].outputs[0].name == "x_out"


def test_a_newer_version_that_cannot_be_read_leaves_the_older_one_served(place: Place) -> None:
    model(place.folder / "m", 1)
    model(place.folder / "m", 2, b"no model")
    place.serve({"name": "m", "base_path": "m"})
    assert place.states()["m"] == {"1": ("AVAILABLE", "OK"), "2": ("LOADING", "UNKNOWN")}
    assert (place.ready("m"), place.ready("m", "2")) == (True, False)
    assert list(place.metadata("m").versions) == ["1"]
    assert place.reload() == (500, {"error": "Reloading models versions failed. Check server logs for more info."})


def test_a_version_that_does_not_compile_makes_way_for_the_one_before(place: Place) -> None:
    write_onnx(place.folder / "m" / "1" / "m.onnx", inputs={"x": (1,)})
    write_onnx(place.folder / "m" / "2" / "m.onnx", inputs={"x": (1, 2)})
    place.serve({"name": "m", "base_path": "m", "shape": {"x": "(1)"}, "target_device": "HETERO:NPX"})
    assert place.states()["m"] == {"1": ("LOADING", "UNKNOWN"), "2": ("LOADING", "UNKNOWN")}
    assert place.reload() == (412, {"error": "Reloading config file failed. Check server logs for more info."})


def test_an_old_version_that_made_way_is_retired(place: Place) -> None:
    model(place.folder / "m", 1)
    place.serve({"name": "m", "base_path": "m"})
    model(place.folder / "m", 2)
    assert place.reload()[0] == 201
    assert place.states()["m"] == {"1": ("END", "OK"), "2": ("AVAILABLE", "OK")}
    assert (place.ready("m", "1"), place.ready("m")) == (False, True)
    assert place.metadata("m", "1") == RETIRED
    assert place.infer("m", "1") == RETIRED
    shutil.rmtree(place.folder / "m" / "2")
    assert place.reload()[0] == 201
    assert place.states()["m"] == {"1": ("AVAILABLE", "OK"), "2": ("END", "OK")}


def test_all_versions_of_a_model_that_is_removed_are_retired(place: Place) -> None:
    for version in (1, 2):
        model(place.folder / "m", version)
    place.serve({"name": "m", "base_path": "m", "model_version_policy": {"all": {}}})
    place.write()
    assert place.reload()[0] == 201
    assert place.states()["m"] == {"1": ("END", "OK"), "2": ("END", "OK")}
    assert (place.ready("m"), place.ready("m", "2")) == (NOT_FOUND, False)
    assert (place.infer("m"), place.infer("m", "2")) == (NOT_FOUND, RETIRED)


def test_a_model_with_an_entry_that_became_invalid_is_loading_with_the_error_unknown(place: Place) -> None:
    model(place.folder / "m")
    place.serve({"name": "m", "base_path": "m"})
    place.write({"name": "m", "base_path": "m", "layout": "XY"})
    assert place.reload() == (500, {"error": "Reloading config file failed. Check server logs for more info."})
    assert place.states()["m"] == {"1": ("LOADING", "UNKNOWN")}


def graph(folder: Path, text: str = ECHO) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.pbtxt").write_text(text)


def test_a_graph_that_is_removed_is_retired_and_not_ready(place: Place) -> None:
    graph(place.folder / "g")
    place.serve({"name": "g"})
    assert place.ready("g") is True
    place.write()
    assert place.reload()[0] == 201
    assert place.states()["g"] == {"1": ("END", "OK")}
    assert place.ready("g") is False
    assert place.metadata("g") == GRAPH_RETIRED
    assert place.infer("g") == GRAPH_RETIRED


def test_a_graph_that_is_broken_fails_a_reload_once(place: Place) -> None:
    graph(place.folder / "g", "nonsense")
    place.serve({"name": "g"})
    assert place.states()["g"] == {"1": ("LOADING", "FAILED_PRECONDITION")}
    assert place.reload()[0] == 201
    graph(place.folder / "g", "nonsense of another kind")
    assert place.reload() == (500, {"error": "Reloading config file failed. Check server logs for more info."})
    assert place.reload()[0] == 201


def test_a_graph_with_a_session_of_a_model_that_is_not_served_is_available_and_each_call_fails(place: Place) -> None:
    text = (ROOT / "graphs" / "one_model" / "graph.pbtxt").read_text().replace("pose_classifier", "absent")
    graph(place.folder / "g", text)
    place.serve({"name": "g"})
    assert place.ready("g") is True
    assert place.states()["g"] == {"1": ("AVAILABLE", "OK")}
    assert place.infer("g") == (grpc.StatusCode.UNKNOWN, "Unknown error")


def test_a_name_that_a_graph_had_is_no_models_name_any_more_nor_the_reverse(place: Place) -> None:
    graph(place.folder / "g")
    model(place.folder / "m")
    place.serve({"name": "g", "base_path": "g"}, {"name": "m", "base_path": "m"})
    graph(place.folder / "other")
    place.write({"name": "g", "base_path": "m"}, {"name": "m", "base_path": "other"})
    assert place.reload()[0] == 500
    assert place.ready("g") is False
    assert place.states()["m"] == {"1": ("END", "OK")}


def test_a_name_that_comes_twice_fails_a_reload(place: Place) -> None:
    model(place.folder / "m")
    place.serve({"name": "m", "base_path": "m"})
    place.write({"name": "m", "base_path": "m"}, {"name": "m", "base_path": "m"})
    assert place.reload()[0] == 500
    assert place.ready("m") is True


def test_a_reload_of_a_path_that_is_not_there_is_a_bad_request(place: Place) -> None:
    place.serve({"name": "bad", "base_path": "nowhere"})
    assert place.reload()[0] == 400


def test_a_reload_without_the_file_says_so(place: Place) -> None:
    place.serve()
    (place.folder / "config.json").unlink()
    assert place.reload() == (500, {"error": "Config file not found or cannot open."})
    assert place.ready("good") is True


@pytest.mark.parametrize(
    ("interface", "ask"),
    [
        ("gRPC", lambda place: place.infer("m", "1")),
        ("REST", lambda place: http(place.server.rest_address, "POST", "/v2/models/m/versions/1/infer", BODY)),
    ],
)
def test_calls_of_a_retired_version_count_as_failed(
    place: Place, interface: str, ask: Callable[[Place], object]
) -> None:
    model(place.folder / "m", 1)
    place.serve({"name": "m", "base_path": "m"})
    model(place.folder / "m", 2)
    place.reload()
    ask(place)
    assert place.failed_requests("m", interface) == 1


def test_bodies_that_cannot_be_read_count_as_failed_requests_of_their_model(place: Place) -> None:
    place.serve()
    assert http(place.server.rest_address, "POST", "/v2/models/good/infer", b"no json")[0] == 412
    assert place.failed_requests("good", "REST") == 1


def test_ports_answer_live_and_not_ready_before_everything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    place.write()
    loading, go_on = threading.Event(), threading.Event()
    config = read_config(tmp_path / "config.json")
    server = place.server = GraphServer(config, ServerOptions(port=0, rest_port=0))
    load = server._live.load

    def load_later() -> None:
        loading.set()
        go_on.wait(20)
        load()

    monkeypatch.setattr(server._live, "load", load_later)
    thread = threading.Thread(target=server.start)
    thread.start()
    try:
        assert loading.wait(20)
        assert place.call("ServerLive", ServerLiveRequest(), ServerLiveResponse).live
        assert not place.call("ServerReady", ServerReadyRequest(), ServerReadyResponse).ready
        assert http(server.rest_address, "GET", "/v2/health/live")[0] == 200
        status, _, body = http(server.rest_address, "GET", "/v2/health/ready")
        assert (status, json.loads(body)) == (503, {"error": "Server is not ready"})
        assert place.ready("good") == UNKNOWN_NAME
        go_on.set()
        thread.join()
        assert place.call("ServerReady", ServerReadyRequest(), ServerReadyResponse).ready
        assert place.ready("good") is True
    finally:
        go_on.set()
        thread.join()
        server.stop(0)


def test_a_server_of_one_model_that_cannot_be_loaded_ends(tmp_path: Path) -> None:
    model(tmp_path / "m", content=b"no model")
    server = GraphServer(single_servable("m", tmp_path / "m"), ServerOptions(port=0))
    with pytest.raises(ConfigError, match="cannot be read"):
        server.start()


def test_a_server_of_one_model_without_versions_starts(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "m").mkdir()
    place.server = GraphServer(single_servable("m", tmp_path / "m"), ServerOptions(port=0))
    place.server.start()
    try:
        assert place.ready("m") == NOT_FOUND
    finally:
        place.server.stop(0)
