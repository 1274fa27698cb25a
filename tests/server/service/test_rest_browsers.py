"""What browsers and other clients of OVMS's REST port need: CORS, lists of models, what a model says of itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openvino as ov
import pytest

from tests.conftest import ROOT
from tests.support.graph_server import graph_server_process, http, write_onnx


def described_model(folder: Path) -> None:
    """A model with labels and other remarks in its file."""
    parameter = ov.opset13.parameter([1, 3], ov.Type.f32, name="x")
    made = ov.Model([ov.opset13.relu(parameter, name="y")], [parameter], "m")
    made.outputs[0].get_tensor().set_names({"y"})
    for key, value in (("labels", "cat dog"), ("reverse", True), ("confidence_threshold", 0.5)):
        made.set_rt_info(value, ["model_info", key])
    made.set_rt_info("standard", ["model_info", "resize", "type"])
    (folder / "1").mkdir(parents=True)
    ov.save_model(made, str(folder / "1" / "m.xml"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rest")
    write_onnx(folder / "scaled" / "2" / "m.onnx", inputs={"x": (1,)})
    described_model(folder / "described")
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "g").mkdir()
    (folder / "g" / "graph.pbtxt").write_text((ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text())
    entries = [{"config": {"name": name, "base_path": name}} for name in ("scaled", "described", "broken", "g")]
    (folder / "config.json").write_text(json.dumps({"model_config_list": entries}))
    with graph_server_process("--config_path", str(folder / "config.json")) as made:
        yield str(made.rest_address)


def ask(server: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    status, _, answer = http(server, method, path, body, **headers)
    return status, json.loads(answer) if answer else None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200),
        ("GET", "/nowhere", 400),
        ("OPTIONS", "/v2/models/scaled/infer", 200),
        ("DELETE", "/v2", 406),
    ],
)
def test_every_answer_tells_browsers_that_all_origins_are_allowed(
    server: str, method: str, path: str, status: int
) -> None:
    found, headers, _ = http(server, method, path)
    assert found == status
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "*"
    assert headers["Access-Control-Allow-Headers"] == "*"
    assert headers["Access-Control-Allow-Credentials"] is None


def test_what_browsers_are_told_is_configured() -> None:
    flags = (
        "--allowed_origins",
        "http://a",
        "--allowed_methods",
        "POST",
        "--allowed_headers",
        "",
        "--allow_credentials",
    )
    echo = ("--model_name", "g", "--model_path", str(ROOT / "graphs" / "pass_through"))
    with graph_server_process(*echo, *flags) as made:
        headers = http(made.rest_address, "GET", "/v2")[1]
    found = {name: value for name, value in headers.items() if name.startswith("Access-Control")}
    assert found == {
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Origin": "http://a",
        "Access-Control-Allow-Methods": "POST",
    }


@pytest.mark.parametrize("path", ["/v3/models", "/v1/models", "/v3/v1/models"])
def test_models_and_graphs_that_are_available_are_listed(server: str, path: str) -> None:
    status, content = ask(server, "GET", path)
    assert (status, content["object"]) == (200, "list")
    assert [entry["id"] for entry in content["data"]] == ["scaled", "described", "g"]
    assert {entry["owned_by"] for entry in content["data"]} == {"OVMS"}
    assert ask(server, "GET", f"{path}/g")[1]["id"] == "g"
    assert ask(server, "GET", f"{path}/broken") == (500, {"error": "Model not found"})


JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "kind", "body", "status", "text"),
    [
        (
            "chat/completions",
            JSON,
            b'{"model": "x"}',
            404,
            "Mediapipe graph definition with requested name is not found",
        ),
        ("chat/completions", JSON, b"{", 412, "The file is not valid json - Cannot parse JSON body"),
        ("chat/completions", JSON, b"[]", 412, "The file is not valid json - JSON body must be an object"),
        ("chat/completions", JSON, b"{}", 412, "The file is not valid json - model field is missing in JSON body"),
        ("chat/completions", JSON, b'{"model": 1}', 412, "The file is not valid json - model field is not a string"),
        ("x", "text/plain", b"", 404, "Mediapipe graph definition with requested name is not found"),
        ("", "text/plain", b"", 500, "Failed to deduce model name from all possible ways"),
    ],
)
def test_endpoints_of_generative_models_find_none(
    server: str, path: str, kind: str, body: bytes, status: int, text: str
) -> None:
    assert ask(server, "POST", f"/v3/{path}", body, Content_Type=kind) == (status, {"error": text})


def test_metadata_carries_what_the_models_file_says_of_it(server: str) -> None:
    info = ask(server, "GET", "/v2/models/described")[1]["rt_info"]["model_info"]
    assert info == {
        "labels": "cat dog", "reverse": "YES", "confidence_threshold": "0.5", "resize": {"type": "standard"},
    }  # fmt: skip
    assert "rt_info" not in ask(server, "GET", "/v2/models/scaled")[1]
    assert "rt_info" not in ask(server, "GET", "/v2/models/g")[1]


def test_a_version_in_the_address_may_have_zeros_before_it_and_be_too_large(server: str) -> None:
    assert ask(server, "GET", "/v2/models/scaled/versions/002")[0] == 200
    missing = {"error": "Model with requested version is not found"}
    assert ask(server, "GET", "/v2/models/scaled/versions/72487667423532349025128558057") == (404, missing)
    assert ask(server, "GET", "/v2/models/scaled/versions/0/ready") == (404, missing)


def test_an_address_that_climbs_is_refused(server: str) -> None:
    error = {"error": "The provided base path is invalid or doesn't exists"}
    assert ask(server, "GET", "/v2/models/a/../b") == (400, error)
