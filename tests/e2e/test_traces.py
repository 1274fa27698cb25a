"""A trace from the client through the graph server and its nodes."""

from pathlib import Path

import pytest

from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.tracing.options import TracingOptions
from tests.conftest import ROOT
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.otlp import Collector, Received

POOLED = "# OVMS_GRAPH_QUEUE_MAX_SIZE: 1\n"


def run(source: Path, address: str, model: str, collector: Collector, frames: int | None = None) -> list[Result]:
    results: list[Result] = []
    tracing = TracingOptions(otel_endpoint=collector.url, otel_sample=1.0)
    transport = TransportOptions(address, model_name=model)
    options = RunOptions(limit_frames=frames or 0)
    StreamClient(str(source), results.append, transport, options=options, tracing=tracing).run()
    return results


def inside(span: Received, outer: Received) -> bool:
    slack = 0.002  # two processes compare the wall clock with their own
    return outer.began - slack <= span.began <= span.ended <= outer.ended + slack


def check_joined(collector: Collector, frames: int) -> None:
    """Each frame but the first one has a call on the server, in the client's round trip."""
    trips = {span.id: span for span in collector.named("round_trip")}
    calls = collector.named("serve")
    assert (len(trips), len(calls)) == (frames, frames - 1)
    for call in calls:
        trip = trips[call.parent]
        assert (call.trace, call.service, call.kind) == (trip.trace, "graph-server", 2)  # SPAN_KIND_SERVER
        assert trip.service == "stream-client"
        assert inside(call, trip)
        steps = [span for span in collector.spans if span.parent == call.id]
        assert [step.name for step in steps] == ["receive", "queue", "graph"]
        assert [step.began for step in steps[1:]] == [step.ended for step in steps[:-1]]
        assert (steps[0].began, steps[-1].ended) == (call.began, call.ended)


def test_a_frame_is_followed_into_the_nodes_of_the_server(person: Path, models_dir: Path) -> None:
    config = ("--config_path", ROOT / "server_config" / "config.json", "--models_dir", models_dir)
    with Collector() as collector:
        with graph_server_process(*map(str, config), "--otel_endpoint", collector.url) as server:
            assert len(run(person, server.address, "holisticClassifier", collector, frames=8)) == 8
        check_joined(collector, 8)
        for graph in collector.named("graph"):
            nodes = [span for span in collector.spans if span.parent == graph.id]
            assert all(inside(node, graph) for node in nodes)
            assert any("pose" in node.name.lower() for node in nodes)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_graph_of_a_pool_is_followed_too(pooled: bool, clip: Path, tmp_path: Path) -> None:
    text = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()
    (tmp_path / "graph.pbtxt").write_text(POOLED * pooled + text)
    flags = ("--model_name", "passThrough", "--model_path", str(tmp_path))
    with Collector() as collector:
        with graph_server_process(*flags, "--otel_endpoint", collector.url) as server:
            for _ in range(2):
                run(clip, server.address, "passThrough", collector, frames=5)
        assert len(collector.named("serve")) == 8


def test_a_server_without_traces_takes_the_parameter_as_ovms_does(clip: Path) -> None:
    with Collector() as collector, graph_server_process(*ECHO) as server:
        assert len(run(clip, server.address, "passThrough", collector)) == 30
    assert {span.service for span in collector.spans} == {"stream-client"}
