"""The /metrics page after real calls, read by Prometheus's own parser."""

import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graph_server.config.server_config import single_servable
from graph_server.errors import ConfigError
from graph_server.metrics.registry import BUCKETS, DEFAULT_FAMILIES, LATENCY, Histogram, Registry, metrics_config
from graph_server.server import GraphServer
from tests.support.calls import streaming
from tests.support.graph_server import graph_server, http, pass_through, request, stream, unary, write_onnx

STREAMING = {"name": "passThrough", "api": "KServe", "interface": "gRPC", "method": "ModelInferStream"}
UNARY = STREAMING | {"method": "ModelInfer"}


def scraped(server: GraphServer) -> dict[str, list[Any]]:
    status, headers, body = http(server.rest_address, "GET", "/metrics?ignored=1")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    samples: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def value(samples: dict[str, list[Any]], family: str, /, **labels: str) -> float:
    found = [sample.value for sample in samples[family] if sample.labels == labels]
    assert len(found) == 1, (family, labels)
    return float(found[0])


def test_buckets_equal_those_of_ovms() -> None:
    assert BUCKETS[:9] == (10, 18, 32, 58, 104, 188, 340, 612, 1101)
    assert (len(BUCKETS), BUCKETS[-1]) == (33, 1474755971)


def test_a_value_at_the_limit_of_a_bucket_counts_in_this_bucket() -> None:
    made = Histogram()
    for microseconds in (0, 10, 11, 1e12):
        made.observe(microseconds)
    lines = list(made.lines("x", 'name="a"'))
    assert lines[:4] == [
        'x_count{name="a"} 4',
        'x_sum{name="a"} 1000000000021',
        'x_bucket{name="a",le="10"} 2',
        'x_bucket{name="a",le="18"} 3',
    ]
    assert lines[-1] == 'x_bucket{name="a",le="+Inf"} 4'


def test_labels_are_sorted_and_escaped() -> None:
    registry = Registry(metrics_config(True, None))
    registry.number("ovms_responses", name='a"b\\c\nd', api="KServe").add(2)
    assert registry.text().splitlines() == [
        "# HELP ovms_responses Number of responses generated the MediaPipe graph.",
        "# TYPE ovms_responses counter",
        'ovms_responses{api="KServe",name="a\\"b\\\\c\\nd"} 2',
    ]


def test_metrics_list_enables_the_named_families_and_refuses_unknown_names() -> None:
    assert metrics_config(True, None).families == DEFAULT_FAMILIES
    assert LATENCY not in DEFAULT_FAMILIES
    assert metrics_config(True, ["ovms_infer_req_active"]).families == {"ovms_infer_req_active"}
    assert metrics_config(False, ["ovms_responses"]).families == frozenset()
    with pytest.raises(ConfigError, match=r"Metrics family name not supported: ovms_nothing \(metrics_list\)"):
        metrics_config(True, ["ovms_responses", "ovms_nothing"])


def test_the_url_is_invalid_if_metrics_are_disabled() -> None:
    with graph_server(rest_port=0) as server:
        assert http(server.rest_address, "GET", "/metrics")[0] == 400


def test_each_request_of_a_streaming_call_is_counted() -> None:
    with graph_server(rest_port=0, metrics=metrics_config(True, [*DEFAULT_FAMILIES, LATENCY])) as server:
        bad = request(3, name="foo")
        stream(server.address, request(1), request(2), bad, request(4))
        samples = scraped(server)
        assert value(samples, "ovms_requests_accepted_total", **STREAMING) == 3
        assert value(samples, "ovms_requests_rejected_total", **STREAMING) == 1
        assert value(samples, "ovms_responses_total", **STREAMING) == 3
        assert value(samples, "ovms_graph_error_total", **STREAMING) == 0
        assert value(samples, "ovms_requests_accepted_total", **UNARY) == 0
        one = {"name": "passThrough", "method": "ModelInferStream"}
        assert value(samples, "ovms_graph_processing_time_us_count", **one) == 1
        assert value(samples, f"{LATENCY}_count", **one) == 3
        assert value(samples, "ovms_current_graphs", name="passThrough") == 0


def test_a_graph_in_error_is_counted_and_has_no_processing_time() -> None:
    with graph_server(rest_port=0, metrics=metrics_config(True, None)) as server:
        assert stream(server.address, request(5), request(5), request(6))[1] is grpc.StatusCode.INVALID_ARGUMENT
        samples = scraped(server)
        # OVMS counts the error after a read, and again when the graph ends.
        assert value(samples, "ovms_graph_error_total", **STREAMING) == 2
        one = {"name": "passThrough", "method": "ModelInferStream"}
        assert value(samples, "ovms_graph_processing_time_us_count", **one) == 0


def test_unary_calls_are_accepted_or_rejected() -> None:
    with graph_server(rest_port=0, metrics=metrics_config(True, None)) as server:
        unary(server.address, request(1))
        for refused in (request(1, name="foo"), request(1)):
            if refused.inputs[0].name == "image":
                del refused.inputs[:], refused.raw_input_contents[:]
            with pytest.raises(grpc.RpcError):
                unary(server.address, refused)
        samples = scraped(server)
        assert value(samples, "ovms_requests_accepted_total", **UNARY) == 1
        assert value(samples, "ovms_requests_rejected_total", **UNARY) == 2
        assert value(samples, "ovms_responses_total", **UNARY) == 1
        assert value(samples, "ovms_graph_error_total", **UNARY) == 1
        one = {"name": "passThrough", "method": "ModelInfer"}
        assert value(samples, "ovms_graph_processing_time_us_count", **one) == 1


def test_a_session_counts_as_a_current_graph_until_it_ends() -> None:
    with graph_server(rest_port=0, metrics=metrics_config(True, None)) as server:
        ended = threading.Event()

        def requests() -> Any:
            yield request(1).SerializeToString()
            ended.wait(20)

        with grpc.insecure_channel(server.address) as channel:
            call = streaming(channel)(requests())
            next(call)
            assert value(scraped(server), "ovms_current_graphs", name="passThrough") == 1
            ended.set()
            assert list(call) == []
        assert value(scraped(server), "ovms_current_graphs", name="passThrough") == 0


def test_ready_and_metadata_requests_to_a_graph_are_counted_without_a_version() -> None:
    with graph_server(rest_port=0, metrics=metrics_config(True, None)) as server:
        http(server.rest_address, "GET", "/v2/models/passThrough/ready")
        http(server.rest_address, "GET", "/v2/models/passThrough")
        samples = scraped(server)
        rest = {"name": "passThrough", "api": "KServe", "interface": "REST"}
        assert value(samples, "ovms_requests_success_total", method="ModelReady", **rest) == 1
        assert value(samples, "ovms_requests_success_total", method="ModelMetadata", **rest) == 1
        assert value(samples, "ovms_requests_fail_total", method="ModelMetadata", **rest) == 0


def test_a_model_reports_its_requests_and_inferences(tmp_path: Path) -> None:
    write_onnx(tmp_path / "scaled" / "3" / "model.onnx", inputs={"x": (1, 2)})
    config = single_servable("scaled", tmp_path / "scaled", {"nireq": 2})
    families = [*DEFAULT_FAMILIES, "ovms_infer_req_queue_size", "ovms_infer_req_active"]
    with graph_server(config=config, rest_port=0, metrics=metrics_config(True, families)) as server:
        body = b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}'
        assert http(server.rest_address, "POST", "/v2/models/scaled/infer", body)[0] == 200
        assert (
            http(server.rest_address, "POST", "/v2/models/scaled/infer", body.replace(b"[1, 2],", b"[2, 1],"))[0] == 400
        )
        samples = scraped(server)
        infer = {"name": "scaled", "version": "3", "api": "KServe", "interface": "REST", "method": "ModelInfer"}
        version = {"name": "scaled", "version": "3"}
        assert value(samples, "ovms_requests_success_total", **infer) == 1
        assert value(samples, "ovms_requests_fail_total", **infer) == 1
        assert value(samples, "ovms_request_time_us_count", interface="REST", **version) == 1
        assert value(samples, "ovms_inference_time_us_count", **version) == 1
        assert value(samples, "ovms_wait_for_infer_req_time_us_count", **version) == 1
        assert value(samples, "ovms_infer_req_queue_size", **version) == 2
        assert value(samples, "ovms_infer_req_active", **version) == 0
        assert value(samples, "ovms_current_requests", **version) == 0
        assert value(samples, "ovms_streams", **version) >= 1


def test_only_listed_families_are_served() -> None:
    with graph_server(rest_port=0, metrics=metrics_config(True, ["ovms_responses"]), config=pass_through()) as server:
        stream(server.address, request(1))
        samples = scraped(server)
        assert set(samples) == {"ovms_responses_total"}
