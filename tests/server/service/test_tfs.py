"""TensorFlow Serving's API, by hand; ovmsclient asks it in tests/e2e/test_clients.py."""

from pathlib import Path

import grpc
import numpy as np
import pytest

from graph_server.config.server_config import single_servable
from graph_server.service.status import Refusal
from graph_server.service.tfs.messages import GetModelMetadataRequest, PredictRequest, PredictResponse
from graph_server.service.tfs.tensors import as_infer_request, shape_of
from tests.support.calls import calling, refusal
from tests.support.graph_server import graph_server, write_onnx

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"


def request() -> PredictRequest:
    made = PredictRequest()
    made.model_spec.name = "scaled"
    tensor = made.inputs["x"]
    tensor.dtype = 1  # type: ignore[assignment]  # DT_FLOAT
    tensor.tensor_shape.CopyFrom(shape_of([1, 3]))
    tensor.tensor_content = np.array([1, 2, 3], "<f4").tobytes()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_onnx(tmp_path / "1" / "model.onnx", inputs={"x": (1, 3)})
    return tmp_path


def test_a_model_predicts(folder: Path) -> None:
    with (
        graph_server(config=single_servable("scaled", folder), tfs=True) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        answer = PredictResponse.FromString(calling(channel, PREDICT)(request().SerializeToString()))
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("scaled", 1)
    assert np.frombuffer(answer.outputs["x_out"].tensor_content, "<f4").tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("fields", "text"), [([], "Invalid signature name"), (["signature_def"], "model_spec missing in request")]
)
def test_metadata_is_asked_for_by_model_and_signature(folder: Path, fields: list[str], text: str) -> None:
    asked = GetModelMetadataRequest(metadata_field=fields)
    if not fields:
        asked.model_spec.name = "scaled"
    with (
        graph_server(config=single_servable("scaled", folder), tfs=True) as server,
        grpc.insecure_channel(server.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        calling(channel, METADATA)(asked.SerializeToString())
    assert refusal(caught.value) == (grpc.StatusCode.INVALID_ARGUMENT, text)


def test_it_is_off_by_default(folder: Path) -> None:
    with (
        graph_server(config=single_servable("scaled", folder)) as server,
        grpc.insecure_channel(server.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        calling(channel, PREDICT)(request().SerializeToString())
    assert refusal(caught.value)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_texts_and_two_byte_numbers_come_in_fields_of_their_own() -> None:
    made = PredictRequest()
    half, text = made.inputs["half"], made.inputs["text"]
    half.dtype, text.dtype = 19, 7  # type: ignore[assignment]  # DT_HALF, DT_STRING
    half.tensor_shape.CopyFrom(shape_of([2]))
    half.half_val.extend(np.array([1.5, -2], "<f2").view("<u2").tolist())
    text.tensor_shape.CopyFrom(shape_of([1]))
    text.string_val.append(b"abc")
    given = as_infer_request(made)
    contents = {item.name: bytes(raw) for item, raw in zip(given.message.inputs, given.raw, strict=True)}
    assert np.frombuffer(contents["half"], "<f2").tolist() == [1.5, -2]
    assert contents["text"] == b"\x03\0\0\0abc"
    half.half_val.append(0)
    with pytest.raises(Refusal, match="Expected: 2; Actual: 3; input name: half"):
        as_infer_request(made)
