"""Idle servables are unloaded, by groups, and loaded again for the next request: each test is a rule of OVMS 2026.4."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graph_server.config.server_config import read_config
from graph_server.metrics.registry import metrics_config
from graph_server.servables import idle
from graph_server.servables.idle import GroupBusyError, IdleGroups
from graph_server.server import GraphServer, ServerOptions
from kserve_wire.names import method_path
from tests.conftest import ROOT
from tests.support.graph_server import http, request, unary, write_onnx
from tests.support.waiting import wait_until

ECHO = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()


class Groups:
    """Groups of servables that only note what happens to them. The test sets the time."""

    def __init__(self, **group_of: str) -> None:
        self.log: list[str] = []
        self.now = 0.0
        self.groups = IdleGroups(
            10, lambda name: self.log.append(f"+{name}"), lambda name: self.log.append(f"-{name}"), lambda: self.now
        )
        self.groups.arrange(group_of, {name for name, group in group_of.items() if group == idle.PERMANENT})
        self.log.clear()

    def happened(self) -> list[str]:
        found, self.log[:] = list(self.log), []
        return found

    def ask(self, name: str) -> list[str]:
        with self.groups.use(name):
            return self.happened()


def test_a_request_loads_its_group_and_first_what_it_asks_for() -> None:
    made = Groups(a="one", b="one", c="two")
    assert made.ask("b") == ["+b", "+a"]
    assert made.ask("a") == []


def test_one_group_is_loaded_at_a_time() -> None:
    made = Groups(a="one", b="one", c="two")
    made.ask("a")
    assert made.ask("c") == ["-a", "-b", "+c"]
    assert made.groups.awake == {"c"}


def test_a_permanent_servable_stays_loaded_and_moves_nothing() -> None:
    made = Groups(a="one", p=idle.PERMANENT)
    made.ask("a")
    assert made.ask("p") == []
    made.now = 100
    made.groups.unload_if_idle()
    assert made.happened() == ["-a"]
    assert made.groups.awake == {"p"}


def test_the_loaded_group_is_unloaded_after_the_timeout_without_a_request() -> None:
    made = Groups(a="one")
    made.ask("a")
    made.now = 9
    made.ask("a")
    made.now = 18
    made.groups.unload_if_idle()
    assert made.happened() == []
    made.now = 19
    made.groups.unload_if_idle()
    assert made.happened() == ["-a"]
    assert made.ask("a") == ["+a"]


def test_a_group_in_use_is_not_unloaded() -> None:
    made = Groups(a="one")
    with made.groups.use("a"):
        made.happened()
        made.now = 100
        made.groups.unload_if_idle()
        assert made.happened() == []
    made.groups.unload_if_idle()
    assert made.happened() == ["-a"]


def test_a_request_for_another_group_waits_until_the_loaded_one_is_free() -> None:
    made = Groups(a="one", b="two")
    with made.groups.use("a"):
        other = threading.Thread(target=made.ask, args=("b",))
        other.start()
        assert made.ask("a") == ["+a"]  # meanwhile the loaded group answers
        assert made.groups.awake == {"a"}
    other.join(10)
    assert made.groups.awake == {"b"}


def test_a_group_that_stays_in_use_makes_the_other_request_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "DRAIN_SECONDS", 0.01)
    made = Groups(a="one", b="two")
    with made.groups.use("a"), pytest.raises(GroupBusyError, match="b cannot be loaded: group one is in use"):
        made.ask("b")
    made.happened()
    assert made.ask("b") == ["-a", "+b"]


def test_what_is_in_no_group_is_left_alone() -> None:
    made = Groups(a="one")
    assert made.ask("unknown") == []


@contextmanager
def serving(folder: Path, *entries: dict[str, Any], seconds: float = 1000) -> Iterator[GraphServer]:
    """A server that unloads what is idle: graphs ``g…``, which pass images on, and models ``m…``."""
    for entry in entries:
        name = entry["name"]
        if name.startswith("g"):
            (folder / name).mkdir()
            (folder / name / "graph.pbtxt").write_text(ECHO)
        else:
            write_onnx(folder / name / "1" / "m.onnx", inputs={"x": (1,)})
    path = folder / "config.json"
    path.write_text(
        json.dumps({"model_config_list": [{"config": {"base_path": entry["name"], **entry}} for entry in entries]})
    )
    metrics = metrics_config(True, None)
    options = ServerOptions(port=0, rest_port=0, metrics=metrics, idle_seconds=seconds, poll_seconds=0.05)
    server = GraphServer(read_config(path), options, lambda: read_config(path))
    server.start()
    try:
        yield server
    finally:
        server.stop(0)


def gauges(server: GraphServer, family: str) -> dict[str, float]:
    """The values of a gauge by name."""
    text = http(server.rest_address, "GET", "/metrics")[2].decode()
    return {
        sample.labels["name"]: sample.value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
        if sample.name == family
    }


def ask(server: GraphServer, name: str) -> None:
    body = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}'
    if name.startswith("m"):
        assert http(server.rest_address, "POST", f"/v2/models/{name}/infer", body)[0] == 200
    else:
        asked = request(1)
        asked.model_name = name
        unary(server.address, asked)


@contextmanager
def open_stream(server: GraphServer, name: str) -> Iterator[None]:
    """A stream with one answered request."""
    asked = request(1)
    asked.model_name = name
    requests: queue.Queue[bytes | None] = queue.Queue()
    requests.put(asked.SerializeToString())
    with grpc.insecure_channel(server.address) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method_path("ModelStreamInfer"))
        answers = call(iter(requests.get, None))
        next(answers)
        yield
        requests.put(None)
        assert list(answers) == []


def test_models_sleep_at_the_start_unless_they_are_permanent_and_stay_ready(tmp_path: Path) -> None:
    entries = ({"name": "m1"}, {"name": "m2", "group_name": "permanent"})
    with serving(tmp_path, *entries) as server:
        assert [gauges(server, "ovms_streams")[name] > 0 for name in ("m1", "m2")] == [False, True]
        for name in ("m1", "m2"):
            assert http(server.rest_address, "GET", f"/v2/models/{name}/ready")[0] == 200
        ask(server, "m1")
        assert gauges(server, "ovms_streams")["m1"] > 0


def test_graphs_with_a_group_sleep_at_the_start_and_the_others_do_not(tmp_path: Path) -> None:
    entries = ({"name": "g1"}, {"name": "g2", "group_name": "two"}, {"name": "g3", "group_name": "permanent"})
    with serving(tmp_path, *entries) as server:
        assert gauges(server, "ovms_graph_loaded") == {"g1": 1, "g2": 0, "g3": 1}
        ask(server, "g2")
        assert gauges(server, "ovms_graph_loaded") == {"g1": 1, "g2": 1, "g3": 1}
        ask(server, "g1")
        assert gauges(server, "ovms_graph_loaded") == {"g1": 1, "g2": 0, "g3": 1}


def test_what_is_idle_is_unloaded_and_answers_again(tmp_path: Path) -> None:
    entries = ({"name": "g1", "group_name": "one"}, {"name": "m1", "group_name": "one"})
    with serving(tmp_path, *entries, seconds=0.2) as server:
        for _ in range(2):
            ask(server, "g1")
            wait_until(lambda: gauges(server, "ovms_graph_loaded")["g1"] == 0)
            wait_until(lambda: gauges(server, "ovms_streams")["m1"] == 0)


def test_a_group_in_use_for_too_long_refuses_the_other_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "DRAIN_SECONDS", 0.05)
    with serving(tmp_path, {"name": "g1"}, {"name": "g2"}) as server:
        with open_stream(server, "g1"), pytest.raises(grpc.RpcError) as refused:
            ask(server, "g2")
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        wait_until(lambda: gauges(server, "ovms_current_graphs")["g1"] == 0)
        ask(server, "g2")


def test_without_a_timeout_everything_stays_loaded(tmp_path: Path) -> None:
    entries = ({"name": "g1", "group_name": "one"}, {"name": "m1", "group_name": "two"})
    with serving(tmp_path, *entries, seconds=0) as server:
        assert gauges(server, "ovms_graph_loaded") == {"g1": 1}
        assert gauges(server, "ovms_streams")["m1"] > 0
