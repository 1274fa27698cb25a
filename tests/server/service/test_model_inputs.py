"""Models served by themselves: texts, batch sizes and shapes that follow the requests, preprocessing; each a rule."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import openvino as ov
import pytest

from graph_server.config.server_config import single_servable
from graph_server.server import GraphServer, ServerOptions
from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse
from kserve_wire.names import method_path
from tests.support.calls import calling
from tests.support.graph_server import graph_server, http, write_onnx


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[GraphServer]:
    """A server of the model in ``folder``."""
    server = GraphServer(single_servable("m", folder, settings), ServerOptions(port=0, rest_port=0))
    server.start()
    try:
        yield server
    finally:
        server.stop(0)


def infer(server: GraphServer, request: ModelInferRequest) -> Any:
    """The answer, or code and text."""
    request.model_name = "m"
    with grpc.insecure_channel(server.address) as channel:
        try:
            return ModelInferResponse.FromString(calling(channel)(request.SerializeToString(), timeout=20))
        except grpc.RpcError as error:
            return error.code(), error.details()


def numbers(*shape: int, name: str = "x") -> ModelInferRequest:
    request = ModelInferRequest()
    add_numbers(request, name, *shape)
    return request


def add_numbers(request: ModelInferRequest, name: str, *shape: int) -> None:
    request.inputs.add(name=name, datatype="FP32", shape=shape)
    request.raw_input_contents.append(np.ones(shape, np.float32).tobytes())


def texts(*elements: bytes, shape: tuple[int, ...] | None = None, raw: bool = True) -> ModelInferRequest:
    request = ModelInferRequest()
    item = request.inputs.add(name="x", datatype="BYTES", shape=(len(elements),) if shape is None else shape)
    if raw:
        request.raw_input_contents.append(b"".join(len(text).to_bytes(4, "little") + text for text in elements))
    else:
        item.contents.bytes_contents.extend(elements)
    return request


def shape_of(server: GraphServer) -> list[int]:
    with grpc.insecure_channel(server.address) as channel:
        data = calling(channel, method_path("ModelMetadata"))(ModelMetadataRequest(name="m").SerializeToString())
    return list(ModelMetadataResponse.FromString(data).inputs[0].shape)


def pass_through(folder: Path, element: ov.Type, shape: list[int], output: str = "y") -> Path:
    """A model that gives its input back."""
    parameter = ov.opset15.parameter(shape, element, name="x")
    if element == ov.Type.string:
        made = ov.Model([ov.opset15.result(parameter)], [parameter], "m")  # its output is called as the input
    else:
        made = ov.Model([ov.opset15.convert(parameter, element.to_string())], [parameter], "m")
        made.outputs[0].get_tensor().set_names({output})
    (folder / "1").mkdir(parents=True)
    ov.save_model(made, str(folder / "1" / "m.xml"))
    return folder


@pytest.fixture
def strings(tmp_path: Path) -> Iterator[GraphServer]:
    with served(pass_through(tmp_path / "m", ov.Type.string, [-1])) as server:
        yield server


@pytest.mark.parametrize("raw", [True, False])
def test_a_model_of_strings_takes_and_gives_bytes(strings: GraphServer, raw: bool) -> None:
    answer = infer(strings, texts(b"Hello", b"", b"W\x00rld", raw=raw))
    (output,) = answer.outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [3])
    assert answer.raw_output_contents[0] == b"\x05\0\0\0Hello\0\0\0\0\x05\0\0\0W\0rld"


def test_a_model_of_strings_says_bytes_in_its_metadata(strings: GraphServer) -> None:
    content = json.loads(http(strings.rest_address, "GET", "/v2/models/m")[2])
    assert content["inputs"] == [{"name": "x", "datatype": "BYTES", "shape": [-1]}]
    assert content["outputs"][0]["datatype"] == "BYTES"


def test_a_model_of_strings_takes_and_gives_json(strings: GraphServer) -> None:
    body = {"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES", "data": ["Hello", "World"]}]}
    status, _, answer = http(strings.rest_address, "POST", "/v2/models/m/infer", json.dumps(body).encode())
    assert (status, json.loads(answer)["outputs"][0]["data"]) == (200, ["Hello", "World"])


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (texts(b"a", shape=(2,)), "Invalid number of values in tensor proto container - Expected: 2 values; Actual: 1"),
        (texts(b"a", shape=(1, 1)), "Invalid number of shape dimensions - Expected: (-1); Actual: (1,1); input name:"),
        (numbers(1), "Invalid input precision - Expected: STRING; Actual: FP32; input name: input name: x"),
    ],
)
def test_what_a_model_of_strings_does_not_take_is_told(
    strings: GraphServer, request_: ModelInferRequest, text: str
) -> None:
    code, details = infer(strings, request_)
    assert (code, details.startswith(text)) == (grpc.StatusCode.INVALID_ARGUMENT, True), details


def test_texts_that_are_cut_off_or_too_many_are_refused(strings: GraphServer) -> None:
    cut = texts(b"a")
    cut.raw_input_contents[0] = b"\x05\0\0\0Hel"
    assert infer(strings, cut)[1] == "Inputs inside buffer does not match expected format."
    many = texts(shape=(1 << 21,))
    many.raw_input_contents[0] = bytes(4 << 21)
    assert infer(strings, many) == (grpc.StatusCode.UNKNOWN, "Unknown error")


def test_an_input_of_rows_of_bytes_takes_texts_and_an_output_named_so_gives_them(tmp_path: Path) -> None:
    with served(pass_through(tmp_path / "m", ov.Type.u8, [-1, -1], "y_string")) as server:
        answer = infer(server, texts(b"Hello", b"to"))
        (output,) = answer.outputs
        assert (output.name, output.datatype, list(output.shape)) == ("y_string", "BYTES", [2])
        assert answer.raw_output_contents[0] == b"\x05\0\0\0Hello\x02\0\0\0to"
        assert infer(server, texts(b"a", shape=(1, 1)))[1].startswith(
            "Invalid number of shape dimensions - Expected number of input shape dimensions: 1; Actual: 2; "
        )


def test_rows_of_bytes_are_as_long_as_the_longest_text_and_a_zero(tmp_path: Path) -> None:
    with served(pass_through(tmp_path / "m", ov.Type.u8, [2, 6])) as server:
        answer = infer(server, texts(b"Hello", b"to"))
        assert answer.raw_output_contents[0] == b"Hello\0to\0\0\0\0"
        assert infer(server, texts(b"Hell", b"to"))[1] == (
            "Invalid input shape - Expected batch size: 2; got: 2; Expected max null terminated string length: 6; "
            "got: 5; input name: input name: x"
        )
        assert infer(server, texts(b"Hello", raw=False))[1] == (
            "Invalid input batch size - Expected: 2; Actual: 1; input name: input name: x"
        )


def test_a_batch_size_of_auto_follows_the_requests(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "m.onnx", inputs={"x": (1, 4)})
    with served(tmp_path / "m", batch_size="auto") as server:
        assert shape_of(server) == [1, 4]
        assert list(infer(server, numbers(3, 4)).outputs[0].shape) == [3, 4]
        assert shape_of(server) == [3, 4]
        assert infer(server, numbers(3, 5))[1].startswith("Invalid input shape - Expected: (3,4); Actual: (3,5)")
        assert list(infer(server, numbers(1, 4)).outputs[0].shape) == [1, 4]


def test_a_batch_of_zero_is_answered_over_rest(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "m.onnx", inputs={"x": (-1, 10)})
    body = {"inputs": [{"name": "x", "shape": [0, 10], "datatype": "FP32", "data": []}]}
    with served(tmp_path / "m") as server:
        status, _, answer = http(server.rest_address, "POST", "/v2/models/m/infer", json.dumps(body).encode())
    (output,) = json.loads(answer)["outputs"]
    assert (status, output["shape"], output["data"]) == (200, [0, 10], [])


def test_a_shape_of_auto_follows_the_requests(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "m.onnx", inputs={"x": (1, 4), "y": (2,)})
    with served(tmp_path / "m", shape={"x": "auto"}) as server:
        request = numbers(2, 7)
        add_numbers(request, "y", 2)
        assert [list(output.shape) for output in infer(server, request).outputs] == [[2, 7], [2]]
        assert shape_of(server) == [2, 7]
        request = numbers(2, 7)
        add_numbers(request, "y", 3)
        assert infer(server, request)[1] == (
            "Invalid input batch size - Expected: 2; Actual: 3; input name: input name: y"
        )


def test_a_shape_that_the_model_cannot_have_is_refused_and_what_was_served_stays(tmp_path: Path) -> None:
    parameter = ov.opset13.parameter([1, 4], ov.Type.f32, name="x")
    product = ov.opset13.matmul(parameter, ov.opset13.constant(np.ones((4, 2), np.float32)), False, False)
    made = ov.Model([product], [parameter], "m")
    made.outputs[0].get_tensor().set_names({"y"})
    (tmp_path / "m" / "1").mkdir(parents=True)
    ov.save_model(made, str(tmp_path / "m" / "1" / "m.xml"))
    with served(tmp_path / "m", shape="auto") as server:
        refused = (grpc.StatusCode.FAILED_PRECONDITION, "Model could not be reshaped with requested shape")
        assert infer(server, numbers(1, 5)) == refused
        body = {"inputs": [{"name": "x", "shape": [1, 5], "datatype": "FP32", "data": [1] * 5}]}
        assert http(server.rest_address, "POST", "/v2/models/m/infer", json.dumps(body).encode())[0] == 412
        assert list(infer(server, numbers(3, 4)).outputs[0].shape) == [3, 2]


def test_a_shape_is_that_of_the_layout_of_clients(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "m.onnx", inputs={"x": (1, 3, 4, 5)})
    with served(tmp_path / "m", layout="NHWC:NCHW", shape="(1,8,6,3)") as server:
        assert shape_of(server) == [1, 8, 6, 3]
        assert list(infer(server, numbers(1, 8, 6, 3)).outputs[0].shape) == [1, 3, 8, 6]


def image(values: list[int]) -> ModelInferRequest:
    request = ModelInferRequest()
    request.inputs.add(name="x", datatype="UINT8", shape=(1, 1, 1, 3))
    request.raw_input_contents.append(bytes(values))
    return request


def test_mean_scale_color_and_precision_prepare_images(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "m.onnx", inputs={"x": (1, 3, 1, 1)}, factor=1.0)
    settings = {
        "layout": "NHWC:NCHW", "mean": "[1,2,3]", "scale": "2", "color_format": "RGB:BGR", "precision": "uint8:fp32",
    }  # fmt: skip
    with served(tmp_path / "m", **settings) as server:
        answer = infer(server, image([10, 20, 30]))  # blue, green, red
        assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [14.5, 9.0, 3.5]


def test_one_file_is_served_as_version_1(tmp_path: Path) -> None:
    with served(write_onnx(tmp_path / "m.onnx", inputs={"x": (1,)})) as server:
        answer = infer(server, numbers(1))
        assert (answer.model_version, answer.outputs[0].name) == ("1", "x_out")


def test_a_negative_dimension_is_refused(strings: GraphServer) -> None:
    assert infer(strings, texts(shape=(-1,)))[1] == (
        "Invalid input shape - Negative or zero dimension size is not acceptable: (-1); input name: input name: x"
    )


@pytest.mark.parametrize("exact", [True, False])
def test_inputs_that_the_model_does_not_have_are_ignored_where_their_count_is_not_checked(
    tmp_path: Path, exact: bool
) -> None:
    config = single_servable("m", pass_through(tmp_path, ov.Type.f32, [1, 3]))
    request, missing = numbers(1, 3), numbers(1, 3, name="other")
    add_numbers(request, "other", 2)
    with graph_server(config=config, exact_inputs=exact) as server:
        answer = infer(server, request)
        if exact:
            assert answer == (grpc.StatusCode.INVALID_ARGUMENT, "Invalid number of inputs - Expected: 1; Actual: 2")
        else:
            assert [output.name for output in answer.outputs] == ["y"]
            text = "Missing input with specific name - Required input: x"
            assert infer(server, missing) == (grpc.StatusCode.INVALID_ARGUMENT, text)
            assert infer(server, ModelInferRequest()) == (grpc.StatusCode.INVALID_ARGUMENT, text)
