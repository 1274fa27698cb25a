"""The codec against plain protobuf."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from kserve_wire.shared_memory import Place
from stream_client.errors import ProtocolError
from stream_client.frames import Tensor
from stream_client.transport.codec import (
    MAX_ERROR_BYTES,
    MAX_HEADER_BYTES,
    decode_response,
    decode_stream_response,
    encode_request,
)
from stream_client.transport.datatypes import DATATYPES, MAX_ELEMENTS, dtype_of


def _plain(tensor: Tensor, **fields: Any) -> bytes:
    request = ModelInferRequest(**fields)
    request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
    request.raw_input_contents.append(tensor.array.tobytes())
    return bytes(request.SerializeToString())


@pytest.mark.parametrize("datatype", sorted(DATATYPES))
@pytest.mark.parametrize("shape", [(1,), (0,), (), (2, 3), (48, 64, 3), (1, 3, 5, 7)])
def test_a_request_has_the_bytes_that_protobuf_would_write(datatype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype_of(datatype))
    tensor = Tensor("image", datatype, array)
    assert bytes(encode_request("graph", [tensor], id="7")) == _plain(tensor, model_name="graph", id="7")


def test_parameters_keep_their_types() -> None:
    tensor = Tensor("x", "UINT8", np.zeros(1, np.uint8))
    parameters: dict[str, bool | int | str] = {"flag": True, "number": -5, "text": "hello", "OVMS_MP_TIMESTAMP": 123}
    parsed = ModelInferRequest.FromString(bytes(encode_request("m", [tensor], parameters=parameters)))
    assert parsed.parameters["flag"].bool_param is True
    assert parsed.parameters["number"].int64_param == -5
    assert parsed.parameters["text"].string_param == "hello"
    assert parsed.parameters["OVMS_MP_TIMESTAMP"].int64_param == 123


def test_an_array_that_is_not_contiguous_is_sent_in_order() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)[:, ::2]
    parsed = ModelInferRequest.FromString(bytes(encode_request("m", [Tensor("x", "UINT8", array)])))
    assert parsed.raw_input_contents[0] == array.tobytes()


def _response(datatype: str, shape: list[int], data: bytes) -> ModelInferResponse:
    response = ModelInferResponse(model_name="m", model_version="1", id="9")
    response.parameters["OVMS_MP_TIMESTAMP"].int64_param = 42
    response.outputs.add(name="output", datatype=datatype, shape=shape)
    response.raw_output_contents.append(data)
    return response


def test_a_response_is_a_read_only_view_on_the_received_bytes() -> None:
    data = _response("UINT8", [2, 2, 3], bytes(range(12))).SerializeToString()
    parsed = decode_response(data)
    array = parsed.outputs["output"].array
    assert parsed.parameters == {"OVMS_MP_TIMESTAMP": 42}
    assert array.tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    assert not array.flags.writeable
    assert not array.flags.owndata


def test_typed_contents_are_taken_too() -> None:
    response = ModelInferResponse(model_name="m")
    output = response.outputs.add(name="scores", datatype="FP32", shape=[1, 2])
    output.contents.fp32_contents.extend([0.25, 0.75])
    assert decode_response(response.SerializeToString()).outputs["scores"].array.tolist() == [[0.25, 0.75]]


def test_bytes_tensors_are_read_by_their_lengths() -> None:
    data = b"\x02\0\0\0ab\x03\0\0\0cde"
    array = decode_response(_response("BYTES", [2], data).SerializeToString()).outputs["output"].array
    assert array.tolist() == [b"ab", b"cde"]


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("UINT8", [2, 2], b"abc"),
        ("UINT8", [-1, 2], b"ab"),
        ("UINT8", [2**40, 2**40], b"ab"),
        ("FP99", [1], b"a"),
        ("FP32", [1], b"abc"),
        ("BYTES", [1], b"\xff\xff\xff\xffa"),
        ("BYTES", [3], b"\x01\0\0\0a"),
        ("UINT8", [1] * 65, b"a"),
        ("UINT8", [0, 2**62, 2**62], b""),
        ("BYTES", [0, 2**62, 2**62], b""),
    ],
)
def test_a_response_that_lies_about_its_content_is_refused(datatype: str, shape: list[int], data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_response(_response(datatype, shape, data).SerializeToString())


def test_a_response_with_too_few_raw_contents_is_refused() -> None:
    response = _response("UINT8", [1], b"a")
    response.outputs.add(name="second", datatype="UINT8", shape=[1])
    with pytest.raises(ProtocolError, match="2 outputs but 1 raw"):
        decode_response(response.SerializeToString())


def test_the_streaming_wrapper_holds_an_error_or_a_response() -> None:
    failed = decode_stream_response(ModelStreamInferResponse(error_message="no").SerializeToString(), "m")
    assert (failed.error, failed.response) == ("no", None)
    good = ModelStreamInferResponse(infer_response=_response("UINT8", [1], b"a"))
    parsed = decode_stream_response(good.SerializeToString(), "m")
    assert parsed.response is not None
    assert parsed.response.outputs["output"].array.tolist() == [97]


def test_typed_contents_of_an_impossible_shape_are_refused() -> None:
    response = ModelInferResponse(model_name="m")
    output = response.outputs.add(name="scores", datatype="FP32", shape=[1] * 65)
    output.contents.fp32_contents.append(0.5)
    with pytest.raises(ProtocolError, match="65 dimensions"):
        decode_response(response.SerializeToString())


def test_a_bare_response_in_a_stream_is_recognised() -> None:
    assert decode_stream_response(_response("UINT8", [1], b"a").SerializeToString(), "m").foreign


_VALID = ModelStreamInferResponse(infer_response=_response("UINT8", [4, 4, 3], bytes(48))).SerializeToString()


@settings(max_examples=500)
@given(cut=st.integers(0, len(_VALID)), flips=st.lists(st.tuples(st.integers(0, len(_VALID) - 1), st.integers(0, 255))))
def test_damaged_answers_are_parsed_or_refused_and_never_crash(cut: int, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(_VALID)
    for position, value in flips:
        damaged[position] = value
    with contextlib.suppress(ProtocolError):
        decode_stream_response(bytes(damaged[:cut]), "m")


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_parsed_or_refused_and_never_crash(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode_response(data)


def test_tensors_in_shared_memory_leave_only_their_place_in_the_message() -> None:
    image, scores = np.arange(12, dtype=np.uint8).reshape(2, 2, 3), np.ones((1, 4), np.float32)
    place, wanted = Place("in", 4096, 12), Place("out", 0, 16)
    data = encode_request(
        "graph",
        [Tensor("image", "UINT8", image), Tensor("scores", "FP32", scores)],
        input_places={"image": place},
        output_places={"output": wanted, "label": None},
    )
    message = ModelInferRequest.FromString(bytes(data))
    assert list(message.raw_input_contents) == [scores.tobytes()]
    assert message.inputs[0].parameters["shared_memory_region"].string_param == "in"
    assert [item.name for item in message.outputs] == ["output", "label"]
    assert message.outputs[0].parameters["shared_memory_byte_size"].int64_param == 16
    assert not message.outputs[1].parameters


def test_an_answer_in_shared_memory_is_looked_up_there() -> None:
    message = ModelInferResponse(model_name="graph", id="7")
    for name, shape in (("output", [2, 3]), ("label", [2])):
        message.outputs.add(name=name, datatype="UINT8", shape=shape)
    message.outputs[0].parameters["shared_memory_region"].string_param = "out"
    message.outputs[0].parameters["shared_memory_offset"].int64_param = 4
    message.outputs[0].parameters["shared_memory_byte_size"].int64_param = 6
    message.raw_output_contents.append(b"\x07\x08")
    memory = memoryview(bytes(range(20)))
    data = message.SerializeToString()
    asked = []

    def look(timestamp: int | None, name: str, place: Place) -> memoryview:
        asked.append((timestamp, name))
        return memory[place.offset : place.offset + place.byte_size]

    response = decode_response(data, look)
    assert asked == [(7, "output")]
    assert response.outputs["output"].array.tolist() == [[4, 5, 6], [7, 8, 9]]
    assert response.outputs["label"].array.tolist() == [7, 8]
    with pytest.raises(ProtocolError, match="none was offered"):
        decode_response(data)


def _answer_of_shape(shape: list[int], datatype: str = "UINT8", data: bytes = b"x") -> bytes:
    message = ModelInferResponse()
    message.outputs.add(name="out", datatype=datatype, shape=shape)
    message.raw_output_contents.append(data)
    return message.SerializeToString()


@pytest.mark.parametrize("shape", [[1] * 65, [2**62] * 60_000, [0] * 100_000])
def test_a_shape_of_too_many_dimensions_is_refused_in_few_words(shape: list[int]) -> None:
    with pytest.raises(ProtocolError, match="dimensions: 64 at most") as refusal:
        decode_response(_answer_of_shape(shape))
    assert len(refusal.value.message) < 100


def test_a_tensor_of_too_many_texts_is_refused_before_they_are_taken_apart() -> None:
    count = MAX_ELEMENTS + 1
    with pytest.raises(ProtocolError, match="elements"):
        decode_response(_answer_of_shape([count], "BYTES", bytes(4 * count)))
    with pytest.raises(ProtocolError, match="more than"):
        decode_response(_answer_of_shape([1], "BYTES", bytes(4 * count)))


def test_a_large_tensor_outside_the_raw_contents_is_refused() -> None:
    message = ModelInferResponse()
    output = message.outputs.add(name="out", datatype="BYTES", shape=[1])
    output.contents.bytes_contents.append(bytes(MAX_HEADER_BYTES + 1))
    with pytest.raises(ProtocolError, match="raw contents"):
        decode_response(message.SerializeToString())


def test_an_errors_text_is_read_to_a_bound() -> None:
    message = ModelStreamInferResponse(error_message="e" * 1_000_000)
    assert len(decode_stream_response(message.SerializeToString(), "graph").error) == MAX_ERROR_BYTES
