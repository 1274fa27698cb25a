"""Traces of real runs, as a collector receives them."""

import math
from collections import Counter
from pathlib import Path

import pytest

from stream_client import Result, StreamClient, TransportOptions
from stream_client.cli.command import main
from stream_client.errors import ConfigurationError
from stream_client.monitoring.stages import STAGES, stage_durations
from stream_client.tracing.options import TracingOptions
from stream_client.tracing.tracer import Tracer
from tests.support.kserve_server import ScriptedServer
from tests.support.otlp import Collector
from tests.support.ports import free_port

PARAMETER = "traceparent"


def run(clip: Path, server: ScriptedServer, collector: Collector, share: float = 1.0, **options: str) -> list[Result]:
    results: list[Result] = []
    transport = TransportOptions(server.address, model_name="graph", **options)  # type: ignore[arg-type]
    tracing = TracingOptions(otel_endpoint=collector.url, otel_sample=share)
    StreamClient(str(clip), results.append, transport, tracing=tracing).run()
    return results


def named_by(server: ScriptedServer) -> list[str]:
    """The traces that requests name, empty for none."""
    return [request.parameters[PARAMETER].string_param for request in server.requests if request.inputs]


def test_each_stage_of_a_frame_is_a_span(clip: Path, server: ScriptedServer) -> None:
    with Collector() as collector:
        results = run(clip, server, collector)
    frames = collector.named("frame")
    assert {span.attributes["frame"] for span in frames} == set(range(30))
    assert {(span.attributes["stream"], span.attributes["model"]) for span in frames} == {("clip.mp4", "graph")}
    assert len({span.trace for span in frames}) == len({span.id for span in collector.spans}) / 11 == 30
    by_index = {result.frame.index: result for result in results}
    for frame in frames:
        below = {span.name: span for span in collector.spans if span.trace == frame.trace and span is not frame}
        assert set(below) == {*STAGES, next(name for name in below if name.startswith("sink "))}
        assert {span.parent for span in below.values()} == {frame.id}
        assert frame.parent == ""
        for stage, seconds in stage_durations(by_index[int(frame.attributes["frame"])].stamps).items():
            assert below[stage].ended - below[stage].began == pytest.approx(seconds, abs=1e-6)
    assert Counter(span.kind for span in collector.spans)[3] == 30  # SPAN_KIND_CLIENT: the round trips


def test_requests_name_the_trace_but_the_first_of_a_session(clip: Path, server: ScriptedServer) -> None:
    with Collector() as collector:
        run(clip, server, collector)
    first, *others = named_by(server)
    assert first == ""  # OVMS would make a side packet of it
    trips = {f"00-{span.trace}-{span.id}-01" for span in collector.named("round_trip")}
    assert len(set(others)) == 29
    assert set(others) < trips


def test_unary_requests_name_no_trace(clip: Path, server: ScriptedServer) -> None:
    with Collector() as collector:
        run(clip, server, collector, api="unary")
    assert set(named_by(server)) == {""}
    assert len(collector.named("frame")) == 30


def test_frames_that_are_not_sampled_leave_nothing(clip: Path, server: ScriptedServer) -> None:
    with Collector() as collector:
        run(clip, server, collector, share=0.0)
    assert collector.spans == []
    assert set(named_by(server)) == {""}


def test_the_share_of_frames_is_the_one_that_was_asked_for() -> None:
    tracer = Tracer(TracingOptions(otel_endpoint="http://127.0.0.1:1", otel_sample=0.1))
    count = sum(bool(tracer.parent_of(timestamp)) for timestamp in range(0, 20_000 * 33_333, 33_333))
    assert abs(count - 2000) < 6 * math.sqrt(20_000 * 0.1 * 0.9)  # six standard deviations
    assert tracer.parent_of(5) == tracer.parent_of(5)


def test_a_collector_that_is_away_is_one_warning(
    clip: Path, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["--input_stream", str(clip), "--output_stream", "none", "--grpc_address", server.address]
    url = f"http://127.0.0.1:{free_port()}"
    assert main([*flags, "--model_name", "graph", "--otel_endpoint", url, "--otel_sample", "1"]) == 0
    assert [record.message for record in caplog.records if "traces" in record.message] == [
        f"traces: {url}/v1/traces does not take them; they are lost until it does"
    ]


def test_a_collector_that_stalls_holds_nothing_up(clip: Path, server: ScriptedServer) -> None:
    with Collector(seconds=3.0) as collector:
        assert len(run(clip, server, collector)) == 30  # and no thread is left, as everywhere


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://host", "http://", "http://me:secret@host:4318"])
def test_what_is_no_collector_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        TracingOptions(otel_endpoint=url)
    assert refused.value.option == "otel_endpoint"
    assert "secret" not in str(refused.value)
