"""Changes of the configuration, its graphs and its models while a server runs."""

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from graph_server.config.server_config import read_config
from graph_server.errors import ConfigError
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.runtime import Runtime
from graph_server.servables.live import LiveServables, Reloaded
from graph_server.servables.load import load
from graph_server.servables.reload import ConfigWatcher
from graph_server.server import GraphServer, ServerOptions
from kserve_wire.messages import ModelInferRequest, ModelStreamInferResponse
from kserve_wire.names import TIMESTAMP
from tests.conftest import ROOT
from tests.support.calls import streaming
from tests.support.graph_server import http, request, stream, unary, write_onnx
from tests.support.waiting import wait_until

ECHO = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()
BODY = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}'


class Repository:
    """A folder with a graph ``echo`` and a model ``scaled``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.json"
        self.graph = folder / "echo" / "graph.pbtxt"
        self.graph.parent.mkdir()
        self.graph.write_text(ECHO)
        self.add_version(1)
        self.write("scaled", graphs=("echo",))

    def write(self, *models: str, graphs: tuple[str, ...]) -> None:
        content = {
            "model_config_list": [{"config": {"name": name, "base_path": "scaled"}} for name in models],
            "mediapipe_config_list": [{"name": name, "base_path": "echo"} for name in graphs],
        }
        self.config.write_text(json.dumps(content))

    def add_version(self, version: int) -> None:
        write_onnx(self.folder / "scaled" / str(version) / "m.onnx", inputs={"x": (1,)}, factor=float(version))


@pytest.fixture
def files(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def server(files: Repository) -> Iterator[GraphServer]:
    def read() -> Any:
        return read_config(files.config)

    made = GraphServer(read(), ServerOptions(port=0, rest_port=0), read)
    made.start()
    yield made
    made.stop(0)


@pytest.fixture
def live(files: Repository) -> LiveServables:
    def read() -> Any:
        return read_config(files.config)

    made = LiveServables(read(), read, Runtime(), ServableMetrics())
    made.load()
    return made


def post(server: GraphServer, path: str, body: bytes = b"") -> tuple[int, Any]:
    status, _, answer = http(server.rest_address, "POST", path, body)
    return status, json.loads(answer)


def versions(states: Any, name: str) -> dict[str, str]:
    """The state of each version."""
    return {item["version"]: item["state"] for item in states[name]["model_version_status"]}


def echo(timestamp: int, name: str = "echo") -> ModelInferRequest:
    made = request(timestamp)
    made.model_name = name
    return made


def scaled(server: GraphServer) -> list[float]:
    return list(post(server, "/v2/models/scaled/infer", BODY)[1]["outputs"][0]["data"])


def test_nothing_is_loaded_again_while_nothing_changes(live: LiveServables) -> None:
    before = live.current
    assert not live.reload_if_changed()
    assert live.reload() == Reloaded()
    assert live.current is before


def test_a_new_version_is_served_and_an_old_one_is_not_loaded_again(server: GraphServer, files: Repository) -> None:
    assert scaled(server) == [1.0]
    files.add_version(5)
    status, states = post(server, "/v1/config/reload")
    assert status == 201
    assert versions(states, "scaled") == {"1": "END", "5": "AVAILABLE"}
    assert scaled(server) == [5.0]
    assert post(server, "/v1/config/reload")[0] == 200


def test_a_version_that_is_still_being_copied_makes_way_for_the_one_before(
    server: GraphServer, files: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    files.add_version(5)
    arriving = files.folder / "scaled" / "5" / "m.onnx"
    content = arriving.read_bytes()
    arriving.unlink()
    failed = (500, {"error": "Reloading models versions failed. Check server logs for more info."})
    assert post(server, "/v1/config/reload") == failed  # an empty folder is a version that cannot be loaded
    arriving.write_bytes(content[:40])
    assert post(server, "/v1/config/reload") == failed
    assert scaled(server) == [1.0]
    assert "model scaled, version 5: " in caplog.text
    assert str(arriving) in caplog.text
    arriving.write_bytes(content)
    status, states = post(server, "/v1/config/reload")
    assert status == 201
    assert versions(states, "scaled") == {"1": "END", "5": "AVAILABLE"}
    assert scaled(server) == [5.0]


def test_what_changes_while_it_is_loaded_is_noticed_the_next_time(
    live: LiveServables, files: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_slowly(*arguments: Any, **options: Any) -> Any:
        loaded = load(*arguments, **options)
        files.graph.write_text(ECHO + "# changed after it was read")
        return loaded

    files.graph.write_text(ECHO + "# first change")
    monkeypatch.setattr("graph_server.servables.live.load", load_slowly)
    assert live.reload_if_changed()
    monkeypatch.undo()
    assert live.reload_if_changed()
    assert live.current.loaded["echo"].text.endswith("# changed after it was read")


def test_graphs_come_and_go_by_name(server: GraphServer, files: Repository) -> None:
    files.write("scaled", graphs=("second",))
    status, states = post(server, "/v1/config/reload")
    assert status == 201
    assert states["second"]["model_version_status"][0]["state"] == "AVAILABLE"
    assert states["echo"]["model_version_status"][0]["state"] == "END"
    assert stream(server.address, echo(1, "second"))[1] is grpc.StatusCode.OK
    assert stream(server.address, echo(1))[1:] == (grpc.StatusCode.NOT_FOUND, "Mediapipe is retired")
    files.write(graphs=("echo",))
    assert post(server, "/v1/config/reload")[0] == 201
    assert stream(server.address, echo(1))[1] is grpc.StatusCode.OK
    missing = {"error": "Model with requested version is not found"}
    assert post(server, "/v2/models/scaled/infer", BODY) == (404, missing)
    status, _, body = http(server.rest_address, "GET", "/v2/models/scaled/ready")
    assert (status, json.loads(body)) == (404, missing)


def test_a_changed_graph_is_loaded_and_an_open_session_keeps_its_own(server: GraphServer, files: Repository) -> None:
    go_on = threading.Event()

    def requests() -> Iterator[bytes]:
        yield echo(1).SerializeToString()
        go_on.wait(20)
        yield echo(2).SerializeToString()

    with grpc.insecure_channel(server.address) as channel:
        call = streaming(channel)(requests())
        parse: Callable[[bytes], ModelStreamInferResponse] = ModelStreamInferResponse.FromString
        assert parse(next(call)).infer_response.outputs[0].name == "output"
        files.graph.write_text(ECHO.replace('"output"', '"changed"').replace("IMAGE:output", "IMAGE:changed"))
        assert post(server, "/v1/config/reload")[0] == 201
        go_on.set()
        (last,) = [parse(data).infer_response for data in call]
    assert (last.outputs[0].name, last.parameters[TIMESTAMP].int64_param) == ("output", 2)
    assert unary(server.address, echo(1)).outputs[0].name == "changed"


def test_a_change_that_cannot_be_loaded_leaves_everything_as_it_is_until_it_is_mended(
    server: GraphServer, files: Repository
) -> None:
    good = files.config.read_text()
    files.config.write_text("{")
    expected = (412, {"error": "Reloading config file failed. Check server logs for more info."})
    assert post(server, "/v1/config/reload") == expected
    assert post(server, "/v1/config/reload") == expected
    assert stream(server.address, echo(1))[1] is grpc.StatusCode.OK
    assert scaled(server) == [1.0]
    files.config.write_text(good)
    assert post(server, "/v1/config/reload")[0] == 201


def test_a_graph_that_breaks_is_not_ready_and_the_others_go_on(server: GraphServer, files: Repository) -> None:
    files.graph.write_text("no graph")
    post(server, "/v1/config/reload")
    assert stream(server.address, echo(1))[1:] == (grpc.StatusCode.UNAVAILABLE, "Mediapipe is not loaded yet")
    assert scaled(server) == [1.0]
    files.graph.write_text(ECHO)
    post(server, "/v1/config/reload")
    assert stream(server.address, echo(1))[1] is grpc.StatusCode.OK


def test_a_model_whose_folder_empties_is_not_loaded_any_more(server: GraphServer, files: Repository) -> None:
    shutil.rmtree(files.folder / "scaled" / "1")
    assert post(server, "/v1/config/reload")[0] == 201
    missing = {"error": "Model with requested version is not found"}
    assert post(server, "/v2/models/scaled/infer", BODY) == (404, missing)
    retired = {"error": "Model with requested version is retired"}
    assert post(server, "/v2/models/scaled/versions/1/infer", BODY) == (404, retired)


def test_the_watcher_notices_by_itself(files: Repository) -> None:
    def read() -> Any:
        return read_config(files.config)

    server = GraphServer(read(), ServerOptions(port=0, rest_port=0, poll_seconds=0.02), read)
    server.start()
    try:
        files.write("scaled", graphs=("echo", "second"))
        wait_until(lambda: stream(server.address, echo(1, "second"))[1] is grpc.StatusCode.OK)
    finally:
        server.stop(0)


def test_the_watcher_tells_of_a_failure_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    went_on = threading.Event()
    calls: list[int] = []

    def reload() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ConfigError("config.json has no key 'x'")
        if len(calls) == 2:
            raise RuntimeError("something else")
        went_on.set()

    watcher = ConfigWatcher(0.01, reload)
    with caplog.at_level(logging.ERROR):
        watcher.start()
        assert went_on.wait(20)
        watcher.close()
    assert "what was served stays: config.json has no key 'x'" in caplog.text
    assert "RuntimeError: something else" in caplog.text


def test_a_watcher_that_waits_long_ends_at_once_and_one_never_started_too() -> None:
    watcher = ConfigWatcher(1e6, lambda: None)
    watcher.start()
    watcher.close()
    ConfigWatcher(1.0, lambda: None).close()


def test_a_model_that_does_not_compile_is_told_at_load_and_the_others_go_on(
    files: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    content = json.loads(files.config.read_text())
    content["model_config_list"].append({"config": {"name": "wrong", "base_path": "scaled", "target_device": "NPX"}})
    files.config.write_text(json.dumps(content))
    live = LiveServables(read_config(files.config), None, Runtime(), ServableMetrics())
    live.load()
    assert "model wrong, version 1: " in caplog.text
    assert "NPX" in str(live.current.models.find("wrong", 1).failure)
    assert live.current.models.find("scaled").state == "AVAILABLE"


def test_graphs_whose_models_change_are_loaded_again(files: Repository) -> None:
    (files.folder / "one").mkdir()
    text = (ROOT / "graphs" / "one_model" / "graph.pbtxt").read_text()
    for old, new in (("pose_classifier", "scaled"), ('"pose_landmarks"', '"x"'), ('"scores"', '"x_out"')):
        text = text.replace(old, new)
    (files.folder / "one" / "graph.pbtxt").write_text(text)
    files.write("scaled", graphs=("echo",))
    content = json.loads(files.config.read_text())
    content["mediapipe_config_list"].append({"name": "one"})
    files.config.write_text(json.dumps(content))

    def read() -> Any:
        return read_config(files.config)

    live = LiveServables(read(), read, Runtime(), ServableMetrics())
    live.load()
    before = live.current
    files.add_version(2)
    assert live.reload_if_changed()
    assert live.current.graphs["echo"] is before.graphs["echo"]
    assert live.current.graphs["one"] is not None
    assert live.current.graphs["one"] is not before.graphs["one"]
    assert np.array_equal(live.current.models.get("scaled").infer({"x": np.ones(1, np.float32)})["x_out"], [2.0])
