"""The REST port, asked by an HTTP client and by tritonclient's."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_server.service.rest.tensors import decode_http_request
from graph_server.service.status import Refusal
from tests.conftest import ROOT
from tests.support.graph_server import graph_server, graph_server_process, http, request, unary, write_onnx
from tests.support.video import picture


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rest")
    for version in (1, 2):
        write_onnx(folder / "scaled" / str(version) / "m.onnx", inputs={"x": (1, 2), "y": (2,)}, factor=float(version))
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "broken.onnx").write_bytes(b"no model")
    content = {
        "model_config_list": [
            {"config": {"name": "scaled", "base_path": "scaled", "model_version_policy": {"all": {}}}},
            {"config": {"name": "broken", "base_path": "broken"}},
        ],
        "mediapipe_config_list": [
            {"name": "passThrough", "base_path": str(ROOT / "graphs" / "pass_through")},
            {"name": "lost", "base_path": "nowhere"},
        ],
    }
    (folder / "config.json").write_text(json.dumps(content))
    with graph_server_process("--config_path", str(folder / "config.json")) as server:
        yield str(server.rest_address)


def ask(server: str, method: str, path: str, body: Any = b"", **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = http(server, method, path, data, **headers)
    return status, json.loads(answer) if answer else None


X = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1.5, 2]]}
Y = {"name": "y", "shape": [2], "datatype": "FP32", "data": [3, 4]}


def test_health_metadata_and_readiness(server: str) -> None:
    assert ask(server, "GET", "/v2/health/live") == (200, None)
    assert ask(server, "GET", "/v2/health/ready") == (200, None)
    assert ask(server, "GET", "/v2")[1]["name"] == "OpenVINO Model Server"
    assert ask(server, "GET", "/v2/models/scaled/ready") == (200, None)
    assert ask(server, "GET", "/v2/models/scaled/versions/1/ready") == (200, None)
    assert ask(server, "GET", "/v2/models/passThrough/versions/7/ready") == (200, None)
    status, metadata = ask(server, "GET", "/v2/models/scaled/versions/1")
    assert (status, metadata["name"], metadata["versions"], metadata["platform"]) == (
        200, "scaled", ["1", "2"], "OpenVINO",
    )  # fmt: skip
    assert metadata["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [1, 2]}
    assert ask(server, "GET", "/v2/models/passThrough")[1]["outputs"] == [
        {"name": "output", "datatype": "INVALID", "shape": []}
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/v2/models/nothing", 404, "Model with requested name is not found"),
        ("GET", "/v2/models/nothing/ready", 404, "Model with requested name is not found"),
        ("GET", "/v2/models/scaled/versions/3", 404, "Model with requested version is not found"),
        ("GET", "/v2/models/broken/ready", 404, "Model with requested version is not found"),
        ("GET", "/v2/models/broken", 404, "Model with requested version is not found"),
        ("GET", "/v2/models/broken/versions/1/ready", 404, "Model with requested version is not loaded yet"),
        ("GET", "/v2/models/broken/versions/1", 404, "Model with requested version is not loaded yet"),
        ("GET", "/v2/models/lost/ready", 404, "Model with requested version is not loaded yet"),
        ("GET", "/v2/models/lost", 500, "Mediapipe is not loaded yet"),
        ("POST", "/v2/models/lost/infer", 500, "Mediapipe is not loaded yet"),
        ("POST", "/v2/models/nothing/infer", 404, "Mediapipe graph definition with requested name is not found"),
        ("GET", "/v2/models/scaled/nothing", 400, "Invalid request URL"),
        ("GET", "/", 400, "Invalid request URL"),
        ("GET", "/metrics", 400, "Invalid request URL"),
        ("GET", "/v2/models/scaled/infer", 406, "Unsupported method"),
        ("POST", "/v2/health/live", 406, "Unsupported method"),
        ("DELETE", "/v2", 406, "Unsupported method"),
    ],
)
def test_what_is_not_there_is_told_as_ovms_tells_it(
    server: str, method: str, path: str, status: int, text: str
) -> None:
    body = {"inputs": [X, Y]} if path.endswith("infer") else b""
    assert ask(server, method, path, body) == (status, {"error": text})


def test_a_model_infers_from_json(server: str) -> None:
    status, answer = ask(server, "POST", "/v2/models/scaled/infer", {"id": "seven", "inputs": [X, Y]})
    assert status == 200
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("scaled", "2", "seven")
    assert {item["name"]: item["data"] for item in answer["outputs"]} == {"x_out": [3.0, 4.0], "y_out": [6.0, 8.0]}
    _, first = ask(server, "POST", "/v2/models/scaled/versions/1/infer", {"inputs": [X, Y]})
    assert {item["name"]: item["data"] for item in first["outputs"]} == {"x_out": [1.5, 2.0], "y_out": [3.0, 4.0]}


def test_a_model_infers_from_binary_tensors_and_answers_with_them(server: str) -> None:
    inputs = [
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        {"name": "y", "shape": [2], "datatype": "FP32"},  # its size follows from its shape
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}, "outputs": [{"name": "y_out"}]})
    body = head.encode() + np.array([1, 2, 3, 4], "<f4").tobytes()
    length = {"Inference_Header_Content_Length": str(len(head))}
    status, headers, answer = http(server, "POST", "/v2/models/scaled/infer", body, **length)
    size = int(headers["Inference-Header-Content-Length"])
    outputs = {item["name"]: item for item in json.loads(answer[:size])["outputs"]}
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert outputs["x_out"]["data"] == [2.0, 4.0]
    assert outputs["y_out"]["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(answer[size:], "<f4").tolist() == [6.0, 8.0]


def test_a_graph_infers_from_a_binary_image(server: str) -> None:
    image = picture(3)
    head = json.dumps(
        {
            "inputs": [{"name": "image", "shape": list(image.shape), "datatype": "UINT8"}],
            "outputs": [{"name": "output", "parameters": {"binary_data": True}}],
            "parameters": {"OVMS_MP_TIMESTAMP": 77},
        }
    ).encode()
    status, headers, answer = http(
        server,
        "POST",
        "/v2/models/passThrough/infer",
        head + image.tobytes(),
        Inference_Header_Content_Length=str(len(head)),
    )
    size = int(headers["Inference-Header-Content-Length"])
    assert status == 200
    assert json.loads(answer[:size])["parameters"] == {"OVMS_MP_TIMESTAMP": 77}
    assert answer[size:] == image.tobytes()


BAD_PRECISION = "Could not parse input content. Unsupported data precision detected"
BAD_INPUT = "Could not parse input content. Not valid ndarray detected"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 412, "The file is not valid json"),
        (b"[" * 100_000, 412, "The file is not valid json"),
        (b'{"id": "\\ud800", "inputs": [{}]}', 412, "The file is not valid json"),
        ({"inputs": [{**X, "data": [10**400, 1]}, Y]}, 412, "The file is not valid json"),
        ({"inputs": [{**X, "data": [float("nan"), 1]}, Y]}, 412, "The file is not valid json"),
        ({"inputs": [{**X, "name": "\ud800"}, Y]}, 412, "The file is not valid json"),
        ([], 400, "Request body should be JSON object"),
        ({}, 400, "Invalid JSON structure, missing inputs"),
        ({"inputs": []}, 400, "Invalid JSON structure, missing inputs"),
        ({"inputs": [{"name": "x"}]}, 400, BAD_INPUT),
        ({"inputs": [{**X, "data": ["a"]}, Y]}, 400, BAD_INPUT),
        ({"inputs": [{**X, "shape": [1, -2]}, Y]}, 400, BAD_INPUT),
        ({"inputs": [{**X, "datatype": "FP16"}, Y]}, 400, BAD_INPUT),
        (
            {"inputs": [{**X, "datatype": "FP7"}, Y]},
            400,
            "Could not parse input content. Unsupported data precision detected",
        ),
        ({"inputs": [X, Y], "parameters": {"a": 1.5}}, 400, "Could not parse request parameters"),
        ({"inputs": [{**X, "data": [1]}, Y]}, 400, "Invalid number of values in tensor proto container"),
        ({"inputs": [X]}, 400, "Invalid number of inputs - Expected: 2; Actual: 1"),
        ({"inputs": [{**X, "data": []}, Y]}, 400, "Received buffer size is smaller than binary_data_size"),
        (
            {"inputs": [{**X, "parameters": {"binary_data_size": 8}}, Y]},
            500,
            "Request contains values both in binary data and in content value",
        ),
    ],
)
def test_a_bad_body_is_refused_with_the_text_of_ovms(server: str, body: Any, status: int, text: str) -> None:
    got, answer = ask(server, "POST", "/v2/models/scaled/infer", body)
    assert got == status
    assert answer["error"].startswith(text)


@pytest.mark.parametrize("length", ["-1", "x", "99999999999", "9" * 5000])
def test_a_header_length_that_is_none_is_refused(server: str, length: str) -> None:
    got = ask(server, "POST", "/v2/models/scaled/infer", b"{}", Inference_Header_Content_Length=length)
    assert got == (500, {"error": "Inference-Header-Content-Length header is invalid and couldn't be parsed"})


def test_a_header_length_beyond_the_body_is_refused(server: str) -> None:
    got = ask(server, "POST", "/v2/models/scaled/infer", b"{}", Inference_Header_Content_Length="3")
    assert got == (500, {"error": "Inference-Header-Content-Length header exceeds actual payload length"})


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("", "The document is empty. Offset: 0"),
        ("  ", "The document is empty. Offset: 2"),
        ("{} {}", "The document root must not be followed by other values. Offset: 3"),
        ('{"a": trux}', "Invalid value. Offset: 9"),
        ('{"a": x}', "Invalid value. Offset: 6"),
        ("{a: 1}", "Missing a name for object member. Offset: 1"),
        ('{"ä" 1}', "Missing a colon after a name of object member. Offset: 6"),
        ('{"a": [1 "}"', "Missing a comma or ] after an array element. Offset: 9"),
        ('{"a": "]\\"" 1', "Missing a comma or } after an object member. Offset: 12"),
        ('{"a', "Missing a closing quotation mark in string. Offset: 1"),
        (r'{"\x": 1}', "Invalid escape character in string. Offset: 2"),
    ],
)
def test_where_a_body_is_no_json_is_told(server: str, body: str, fault: str) -> None:
    expected = {"error": f"The file is not valid json - Error: {fault}"}
    assert ask(server, "POST", "/v2/models/scaled/infer", body.encode()) == (412, expected)


def test_the_state_of_every_servable_is_told(server: str) -> None:
    status, states = ask(server, "GET", "/v1/config")
    assert status == 200
    good = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": "OK"}}
    assert states["scaled"]["model_version_status"] == [{"version": "1", **good}, {"version": "2", **good}]
    assert states["passThrough"]["model_version_status"] == [{"version": "1", **good}]
    assert states["lost"]["model_version_status"][0]["state"] == "LOADING"
    unknown = {"error_code": "UNKNOWN", "error_message": "UNKNOWN"}
    assert states["broken"]["model_version_status"] == [{"version": "1", "state": "LOADING", "status": unknown}]


def test_a_reload_with_a_model_that_cannot_be_loaded_answers_an_error(server: str) -> None:
    error = {"error": "Reloading config file failed. Check server logs for more info."}
    assert ask(server, "POST", "/v1/config/reload") == (500, error)


@given(st.binary(max_size=200), st.none() | st.integers(0, 300))
def test_any_body_becomes_a_request_or_a_refusal(body: bytes, size: int | None) -> None:
    with suppress(Refusal):
        decode_http_request(body, size, "m", "", lambda size: None)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["FP32", "x", "BYTES", "UINT8"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "shape", "datatype", "data", "parameters", "binary_data_size"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3), JSON, JSON, st.binary(max_size=20))
def test_any_json_becomes_a_request_or_a_refusal(inputs: Any, outputs: Any, parameters: Any, tail: bytes) -> None:
    head = json.dumps({"inputs": inputs, "outputs": outputs, "parameters": parameters}).encode()
    with suppress(Refusal):
        decode_http_request(head + tail, len(head), "m", "", lambda size: None)


def test_rest_is_served_on_an_address_of_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with graph_server(bind_address="[::1]", rest_port=0) as server:
        assert str(server.rest_address).startswith("[::1]:")
        assert http(server.rest_address, "GET", "/v2/health/live")[0] == 200
        assert unary(server.address, request(1)).id == "1"
