"""TensorFlow Serving's REST API, rule by rule of OVMS 2026.2; ovmsclient asks it in tests/e2e/test_clients.py."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as ops

from graph_server.server import GraphServer
from stream_client.embedded import EmbeddedServer
from tests.conftest import ROOT
from tests.support.graph_server import graph_server, graph_server_process, http, write_onnx

NO_ROWS = "Could not parse instance content. Not valid ndarray detected"
NO_COLUMNS = "Could not parse input content. Not valid ndarray detected"
NO_ORDER = "Invalid JSON structure. Could not detect row or column format"


def save(folder: Path, name: str, inputs: list[Any], outputs: dict[str, Any]) -> None:
    for output, tensor in outputs.items():
        tensor.output(0).set_names({output})
    (folder / name / "1").mkdir(parents=True)
    ov.save_model(ov.Model(list(outputs.values()), inputs, name), str(folder / name / "1" / "m.xml"))


def parameter(name: str, shape: list[int], kind: ov.Type) -> Any:
    made = ops.parameter(shape, kind, name=name)
    made.output(0).set_names({name})
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """``scaled`` doubles x [-1, 3]; ``pair`` adds and subtracts a and b; ``texts`` and ``numbers`` give x back.

    ``mean`` has the mean of an image.
    """
    folder = tmp_path_factory.mktemp("served")
    write_onnx(folder / "scaled" / "1" / "m.onnx", inputs={"x": (1, 3)})
    a, b = parameter("a", [-1, 2], ov.Type.f32), parameter("b", [-1, 2], ov.Type.f32)
    save(folder, "pair", [a, b], {"sum": ops.add(a, b), "difference": ops.subtract(a, b)})
    for kind in ("i8", "u8", "u16", "f16", "i64"):
        x = parameter("x", [-1], getattr(ov.Type, kind))
        save(folder, kind, [x], {"y": ops.convert(x, kind)})
    image = parameter("image", [1, 4, 4, 3], ov.Type.u8)
    save(folder, "mean", [image], {"mean": ops.reduce_mean(ops.convert(image, "f32"), ops.constant([1, 2]))})
    scalar = parameter("x", [], ov.Type.f32)
    save(folder, "scalar", [scalar], {"y": ops.add(scalar, ops.constant(np.float32(1)))})
    texts = parameter("texts", [-1], ov.Type.string)
    (folder / "texts" / "1").mkdir(parents=True)
    ov.save_model(ov.Model([ops.result(texts)], [texts], "texts"), str(folder / "texts" / "1" / "m.xml"))
    entries = [{"name": path.name, "base_path": path.name} for path in sorted(folder.iterdir())]
    entries[:] = [{**entry, **({"shape": "(-1,3)"} if entry["name"] == "scaled" else {})} for entry in entries]
    entries.append({"name": "graph", "base_path": str(ROOT / "graphs" / "pass_through")})
    (folder / "config.json").write_text(json.dumps({"model_config_list": [{"config": entry} for entry in entries]}))
    with graph_server_process("--tfs", "--config_path", str(folder / "config.json")) as made:
        yield made


def predict(server: EmbeddedServer | GraphServer, name: str, content: Any) -> tuple[int, Any]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    status, _, answer = http(server.rest_address, "POST", f"/v1/models/{name}:predict", body)
    return status, json.loads(answer)


@pytest.mark.parametrize(
    ("name", "asked", "answer"),
    [
        ("scaled", {"instances": [[1, 2, 3], [4, 5, 6]]}, {"predictions": [[2, 4, 6], [8, 10, 12]]}),
        ("scaled", {"instances": [{"x": [1, 2, 3]}]}, {"predictions": [[2, 4, 6]]}),
        ("scaled", {"inputs": [[1, 2, 0.05]]}, {"outputs": [[2, 4, 0.1]]}),
        ("scaled", {"inputs": {"x": [[1, 2, 3]]}, "signature_name": "any"}, {"outputs": [[2, 4, 6]]}),
        ("scaled/versions/1", {"inputs": [[1, 2, 3]]}, {"outputs": [[2, 4, 6]]}),
        ("scaled/versions/0", {"inputs": [[1, 2, 3]]}, {"outputs": [[2, 4, 6]]}),
        ("scaled/labels/stable", {"inputs": [[1, 2, 3]]}, {"outputs": [[2, 4, 6]]}),
        (
            "pair",
            {"instances": [{"a": [3, 4], "b": [1, 1]}, {"a": [5, 6], "b": [2, 2]}]},
            {"predictions": [{"sum": [4, 5], "difference": [2, 3]}, {"sum": [7, 8], "difference": [3, 4]}]},
        ),
        (
            "pair",
            {"inputs": {"a": [[3, 4]], "b": [[1, 1]]}},
            {"outputs": {"sum": [[4, 5]], "difference": [[2, 3]]}},
        ),
        ("scalar", {"inputs": 1.5}, {"outputs": 2.5}),
        ("scalar", {"inputs": {"x": 1.5}}, {"outputs": 2.5}),
        ("i64", {"instances": [1, -7]}, {"predictions": [1, -7]}),
        ("i8", {"instances": [1.9, -1.9, 300]}, {"predictions": [1, -1, 44]}),
        ("texts", {"instances": ["äb", {"b64": "Yw=="}]}, {"predictions": ["äb", "c"]}),
    ],
)
def test_rows_and_columns_are_predicted(server: EmbeddedServer, name: str, asked: Any, answer: Any) -> None:
    status, found = predict(server, name, asked)
    assert (status, found) == (200, answer)


def test_encoded_images_come_as_base64(server: EmbeddedServer) -> None:
    image = base64.b64encode(cv2.imencode(".png", np.full((4, 4, 3), (10, 20, 30), np.uint8))[1].tobytes()).decode()
    for asked in ({"instances": [{"b64": image}]}, {"instances": [{"image": {"b64": image}}]}):
        assert predict(server, "mean", asked) == (200, {"predictions": [[10, 20, 30]]})


def test_numbers_are_written_as_short_as_they_are_exact(server: EmbeddedServer) -> None:
    body = b'{"inputs": [[0.05, 5e-9, 1e30]]}'
    answer = http(server.rest_address, "POST", "/v1/models/scaled:predict", body)[2]
    assert answer == b'{"outputs": [[0.1, 1e-08, 2e+30]]}'


@pytest.mark.parametrize(
    ("name", "asked", "status", "text"),
    [
        ("scaled", b"{", 412, "The file is not valid json - Error: Missing a name for object member. Offset: 1"),
        ("scaled", b'{"inputs": [[NaN, 1, 2]]}', 412, "The file is not valid json"),
        ("scaled", b'{"inputs": [[1e999, 1, 2]]}', 412, "The file is not valid json"),
        ("scaled", [1], 400, "Request body should be JSON object"),
        ("scaled", {}, 400, NO_ORDER),
        ("scaled", {"inputs": [[1, 2, 3]], "instances": [[1, 2, 3]]}, 400, NO_ORDER),
        ("scaled", {"instances": 1}, 400, "Invalid JSON structure. Nonamed instance is not an array."),
        ("scaled", {"instances": []}, 400, "Invalid JSON structure. Missing instances in row format"),
        ("scaled", {"instances": [None]}, 400, "Could not detect neither named or nonamed format"),
        ("scaled", {"instances": [[1, 2], [3]]}, 400, NO_ROWS),
        ("scaled", {"instances": [[1, True, 3]]}, 400, NO_ROWS),
        ("scaled", {"instances": [["a", "b", "c"]]}, 400, NO_ROWS),
        ("scaled", {"instances": [{}]}, 400, NO_ROWS),
        ("mean", {"instances": [{"b64": "?"}]}, 400, NO_ROWS),
        ("scaled", {"instances": [{"x": [1, 2, 3]}, [1]]}, 400, "Invalid JSON structure. One of named instances is"),
        (
            "pair",
            {"instances": [{"a": [1, 2], "b": [1, 2]}, {"a": [1, 2]}]},
            400,
            "Invalid JSON structure. Request",
        ),
        ("pair", {"instances": [[1, 2]]}, 400, "Inputs inside buffer does not match expected format."),
        ("pair", {"inputs": [[1, 2]]}, 400, "Inputs inside buffer does not match expected format."),
        ("scaled", {"inputs": "text"}, 400, "Invalid JSON structure. One of inputs is not a JSON object."),
        ("scaled", {"inputs": {}}, 400, "Invalid JSON structure, missing inputs"),
        ("scaled", {"inputs": {"x": [[1, 2], [3]]}}, 400, NO_COLUMNS),
        ("scaled", {"inputs": {"y": [[1, 2, 3]]}}, 400, "Missing input with specific name - Required input: x"),
        ("pair", {"inputs": {"a": [[1, 2]]}}, 400, "Invalid number of inputs - Expected: 2; Actual: 1"),
        ("scaled", {"inputs": [[1, 2]]}, 400, "Invalid input shape - Expected: (-1,3); Actual: (1,2); input name: x"),
        (
            "scalar",
            {"inputs": [1]},
            400,
            "Invalid number of shape dimensions - Expected: (); Actual: (1); input",
        ),
        ("u16", {"inputs": [1]}, 400, "Could not parse input content. Unsupported data precision detected"),
        ("f16", {"inputs": [1]}, 400, "Could not parse input content. Unsupported data precision detected"),
        ("scaled/versions/7", {"inputs": [[1, 2, 3]]}, 404, "Model with requested version is not found"),
        ("nothing", {"inputs": [[1]]}, 404, "Model with requested name is not found"),
        ("graph", {"inputs": [[1]]}, 404, "Model with requested name is not found"),
    ],
)
def test_what_ovms_refuses_is_refused_in_its_words(
    server: EmbeddedServer, name: str, asked: Any, status: int, text: str
) -> None:
    found, answer = predict(server, name, asked)
    assert (found, answer["error"].startswith(text)) == (status, True), answer


def test_a_row_needs_a_batch_in_every_output(server: EmbeddedServer) -> None:
    assert predict(server, "scalar", {"instances": [1]})[0] == 400
    status, answer = predict(server, "i64", {"instances": [[]]})
    assert (status, answer["error"][:12]) in {(400, "Invalid numb"), (500, "Response par")}


def test_metadata_is_protobufs_json(server: EmbeddedServer) -> None:
    for path in ("scaled/metadata", "scaled/versions/1/metadata"):
        status, _, body = http(server.rest_address, "GET", f"/v1/models/{path}")
        assert status == 200
        answer = json.loads(body)
        assert answer["modelSpec"] == {"name": "scaled", "signatureName": "", "version": "1"}
        signature = answer["metadata"]["signature_def"]
        assert signature["@type"] == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        sizes = [{"size": "-1", "name": ""}, {"size": "3", "name": ""}]
        described = {"dtype": "DT_FLOAT", "tensorShape": {"dim": sizes, "unknownRank": False}, "name": "x"}
        assert signature["signatureDef"]["serving_default"]["inputs"] == {"x": described}
    assert http(server.rest_address, "GET", "/v1/models/graph/metadata")[0] == 404


def test_a_models_and_a_graphs_states_are_told(server: EmbeddedServer) -> None:
    state = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": "OK"}}
    for path in ("scaled", "scaled/versions/1", "graph"):
        status, _, body = http(server.rest_address, "GET", f"/v1/models/{path}")
        assert (status, json.loads(body)) == (200, {"model_version_status": [state]})
    assert http(server.rest_address, "GET", "/v1/models/scaled/versions/2")[0] == 404
    assert http(server.rest_address, "GET", "/v1/models/nothing")[0] == 404


def test_methods_are_kept_apart(server: EmbeddedServer) -> None:
    for method, path in (("GET", "scaled:predict"), ("POST", "scaled"), ("POST", "scaled/metadata")):
        status, _, body = http(server.rest_address, method, f"/v1/models/{path}", b"{}" if method == "POST" else b"")
        assert (status, json.loads(body)) == (406, {"error": "Unsupported method"})


def test_without_the_flag_nothing_predicts(tmp_path: Path) -> None:
    with graph_server(rest_port=0) as server:
        assert predict(server, "scaled", {"inputs": [1]})[0] in (400, 404, 412)
