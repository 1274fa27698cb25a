"""What an input may be: the same texts end a unary call and stand inside a stream."""

from typing import Any

import numpy as np
import pytest

from kserve_wire.messages import ModelInferRequest
from tests.conformance.wire import DATATYPES, INVALID_ARGUMENT, OK, Wire, echo, image, request, stamp, tensor

pytestmark = pytest.mark.graphs("passThrough")
BOTH = (
    "Passing buffers both in ModelInferRequest::InferInputTensor::contents and in "
    "ModelInferRequest::raw_input_contents is not allowed - "
)


def refused(wire: Wire, made: ModelInferRequest, text: str) -> None:
    """The request is refused with ``text`` in a unary call and in a stream, which goes on."""
    assert wire.refusal(made) == (INVALID_ARGUMENT, text)
    ended = wire.stream(made)
    assert ended.errors == [f"{text}; partial deserialization of first request"]
    assert (ended.answers, ended.code) == ([], OK)


def changed(**fields: Any) -> ModelInferRequest:
    """An image whose description is changed."""
    made = echo(1)
    shape = fields.pop("shape", None)
    if shape is not None:
        made.inputs[0].shape[:] = shape
    for name, value in fields.items():
        setattr(made.inputs[0], name, value)
    return made


def test_a_name_that_the_graph_does_not_have_is_unexpected(wire: Wire) -> None:
    refused(wire, changed(name="foo"), "Unexpected input - foo is unexpected")


def test_an_image_in_typed_contents_is_refused(wire: Wire) -> None:
    made = changed(shape=[1, 1, 3])
    del made.raw_input_contents[:]
    made.inputs[0].contents.uint_contents.extend([1, 2, 3])
    refused(wire, made, "Mediapipe execution failed. MP status")


def test_an_image_without_data_is_refused(wire: Wire) -> None:
    made = echo(1)
    del made.raw_input_contents[:]
    refused(wire, made, "Mediapipe execution failed. MP status")


@pytest.mark.parametrize("shape", [[], [48 * 64 * 3], [48, 192], [1, 48, 64, 3]])
def test_an_image_has_three_dimensions(wire: Wire, shape: list[int]) -> None:
    text = f"Invalid input shape - Invalid Mediapipe Image input shape size. Expected: 3; Actual: {len(shape)}"
    made = echo(1)
    del made.inputs[0].shape[:]
    made.inputs[0].shape.extend(shape)
    refused(wire, made, text)


@pytest.mark.parametrize("value", [0, -1, -(2**63)])
@pytest.mark.parametrize(("axis", "what"), [(0, "height"), (1, "width"), (2, "number of channels")])
def test_an_images_height_width_and_channels_are_positive(wire: Wire, axis: int, what: str, value: int) -> None:
    shape = [48, 64, 3]
    shape[axis] = value
    text = (
        f"Invalid input shape - Invalid Mediapipe Image input {what}. Expected greater than 0; "
        f"Actual: {value}; Expected layout - HWC."
    )
    refused(wire, changed(shape=shape), text)


def test_the_first_bad_dimension_is_named(wire: Wire) -> None:
    refused(
        wire,
        changed(shape=[-1, 0, 0]),
        "Invalid input shape - Invalid Mediapipe Image input height. Expected greater than 0; Actual: -1; "
        "Expected layout - HWC.",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"shape": [48, 63, 3]}, 48 * 63 * 3),
        ({"shape": [48, 64, 4]}, 48 * 64 * 4),
        ({"datatype": "FP32"}, 4 * 48 * 64 * 3),
        ({"datatype": "STRANGE"}, 0),
    ],
)
def test_an_images_bytes_are_height_width_channels_and_size(wire: Wire, fields: dict[str, Any], expected: int) -> None:
    text = (
        "Invalid content size of tensor proto - Invalid Mediapipe Image input buffer size. "
        f"Actual: {48 * 64 * 3}; Expected: {expected}"
    )
    refused(wire, changed(**fields), text)


def test_dimensions_whose_product_is_beyond_size_t_are_refused(wire: Wire) -> None:
    refused(
        wire,
        changed(shape=[2**62, 2**62, 3]),
        "Invalid content size of tensor proto - Invalid Mediapipe Image input: shape dimensions overflow size_t",
    )


FORMATS = {
    "u1": {1: "UINT8", 3: "UINT8", 4: "UINT8"},
    "i1": {1: "UINT8", 3: "UINT8", 4: "UINT8"},
    "<u2": {1: "UINT16", 3: "UINT16", 4: "UINT16"},
    "<i2": {1: "UINT16", 3: "UINT16", 4: "UINT16"},
    "<f2": {1: "UINT16", 3: "UINT16", 4: "UINT16"},
    "<f4": {1: "FP32", 2: "FP32", 4: "UINT8"},
}
"""Which channels make a format of a datatype, and the datatype that such an image is said to be when it comes back."""


@pytest.mark.parametrize(("code", "channels"), [(code, number) for code, row in FORMATS.items() for number in row])
def test_an_image_comes_back_as_8_bit_16_bit_or_float(wire: Wire, code: str, channels: int) -> None:
    pixels = np.zeros((4, 16, channels), np.dtype(code))
    pixels[1, 2] = 7
    (answer,) = wire.stream(request("passThrough", ("image", pixels))).answers
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == (FORMATS[code][channels], [4, 16, channels])
    assert answer.raw_output_contents[0] == pixels.tobytes()


@pytest.mark.parametrize(
    ("code", "channels"),
    [
        ("u1", 2),
        ("u1", 5),
        ("<u2", 2),
        ("<f2", 2),
        ("<f4", 3),
        ("<i4", 3),
        ("<u4", 1),
        ("<i8", 1),
        ("<f8", 4),
        ("?", 1),
    ],
)
def test_a_datatype_and_number_of_channels_without_an_image_format_is_refused(
    wire: Wire, code: str, channels: int
) -> None:
    refused(
        wire,
        request("passThrough", ("image", np.zeros((4, 16, channels), np.dtype(code)))),
        "Inputs inside buffer does not match expected format. - "
        "Invalid KFS request datatype, conversion to Mediapipe ImageFrame format failed.",
    )


def test_encoded_pictures_are_no_images(wire: Wire) -> None:
    refused(
        wire,
        changed(datatype="BYTES", shape=[48 * 64 * 3]),
        "Invalid input shape - Invalid Mediapipe Image input shape size. Expected: 3; Actual: 1",
    )
    refused(
        wire,
        changed(datatype="BYTES"),
        "Inputs inside buffer does not match expected format. - "
        "Invalid KFS request datatype, conversion to Mediapipe ImageFrame format failed.",
    )


@pytest.mark.parametrize("width", [1, 50, 63])
def test_any_width_is_fine_on_the_way_in_and_out_of_a_graph_that_draws_nothing(wire: Wire, width: int) -> None:
    pixels = image(1, 40, width)
    (answer,) = wire.stream(request("passThrough", ("image", pixels))).answers
    assert answer.raw_output_contents[0] == pixels.tobytes()


@pytest.mark.graphs("holisticTracking")
@pytest.mark.assumption("rows are padded to 16 bytes in MediaPipe's CPU build; other builds may pad otherwise")
def test_an_annotated_image_comes_back_sheared_unless_its_width_is_a_multiple_of_16(wire: Wire) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    answer = wire.infer(request("holisticTracking", ("first_input_video", pixels)))
    rows = np.zeros((40, 160), np.uint8)
    rows[:, :150] = pixels.reshape(40, 150)
    assert list(answer.outputs[0].shape) == [40, 50, 3]
    got = np.frombuffer(answer.raw_output_contents[0], np.uint8)
    padding = np.tile(np.arange(160) >= 150, 40)[: got.size]  # of any value
    assert np.array_equal(got[~padding], rows.reshape(-1)[: got.size][~padding])


@pytest.mark.graphs("holisticTracking")
def test_an_annotated_image_keeps_its_bytes_when_its_width_is_a_multiple_of_16(wire: Wire) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8)
    answer = wire.infer(request("holisticTracking", ("first_input_video", pixels)))
    assert answer.raw_output_contents[0] == pixels.tobytes()


def test_there_are_as_many_raw_contents_as_inputs_or_none(wire: Wire) -> None:
    made = echo(1)
    made.raw_input_contents.append(b"more")
    refused(wire, made, f"{BOTH}Size of raw_input_contents: 2 is different than number of inputs: 1")


def test_raw_and_typed_contents_are_not_mixed(wire: Wire) -> None:
    made = echo(1)
    made.inputs[0].contents.uint_contents.append(1)
    refused(
        wire,
        made,
        f"{BOTH}Passing buffers both in InferInputTensor contents and in raw_input_contents is not allowed. "
        "Detected buffer in InferInputTensor contents for input: image",
    )


@pytest.mark.graphs("tensor")
@pytest.mark.parametrize("dtype", DATATYPES, ids=DATATYPES.values())
def test_a_tensor_of_any_datatype_goes_through_raw(wire: Wire, dtype: np.dtype[Any]) -> None:
    value = np.arange(6).reshape(1, 2, 3).astype(dtype)
    (answer,) = wire.stream(tensor(value)).answers
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == (DATATYPES[dtype], [1, 2, 3])
    assert answer.raw_output_contents[0] == value.tobytes()


TYPED = {
    "BOOL": ("bool_contents", [True, False]),
    "INT8": ("int_contents", [-1, 2]),
    "INT16": ("int_contents", [-300, 2]),
    "INT32": ("int_contents", [-70000, 2]),
    "INT64": ("int64_contents", [-(2**40), 2]),
    "UINT8": ("uint_contents", [1, 255]),
    "UINT16": ("uint_contents", [1, 65535]),
    "UINT32": ("uint_contents", [1, 2**32 - 1]),
    "UINT64": ("uint64_contents", [1, 2**64 - 1]),
    "FP32": ("fp32_contents", [0.5, -2.0]),
    "FP64": ("fp64_contents", [0.1, -2.0]),
}


def typed(datatype: str, shape: list[int]) -> ModelInferRequest:
    field, values = TYPED[datatype]
    made = tensor(np.zeros(0))
    del made.raw_input_contents[:]
    del made.inputs[0].shape[:]
    made.inputs[0].shape.extend(shape)
    made.inputs[0].datatype = datatype
    getattr(made.inputs[0].contents, field).extend(values)
    return made


@pytest.mark.graphs("tensor")
@pytest.mark.parametrize("datatype", TYPED)
def test_a_tensor_may_come_in_typed_contents(wire: Wire, datatype: str) -> None:
    (answer,) = wire.stream(typed(datatype, [2])).answers
    dtype = next(dtype for dtype, name in DATATYPES.items() if name == datatype)
    assert np.frombuffer(answer.raw_output_contents[0], dtype).tolist() == TYPED[datatype][1]


@pytest.mark.graphs("tensor")
def test_of_a_typed_value_that_is_too_large_the_lower_bits_are_taken(wire: Wire) -> None:
    made = typed("INT8", [2])
    made.inputs[0].contents.int_contents[:] = [300, -129]
    (answer,) = wire.stream(made).answers
    assert np.frombuffer(answer.raw_output_contents[0], np.int8).tolist() == [44, 127]


@pytest.mark.graphs("tensor")
def test_texts_are_counted_as_the_servers_strings_of_32_bytes(wire: Wire) -> None:
    made = tensor(np.zeros(9, np.uint8))
    made.inputs[0].datatype = "BYTES"
    made.inputs[0].shape[:] = [1]
    refused(
        wire,
        made,
        "Invalid content size of tensor proto - Expected: 32 bytes; Actual: 9 bytes; input name: in",
    )
    del made.raw_input_contents[:]
    made.inputs[0].contents.bytes_contents.append(b"hello")
    refused(
        wire,
        made,
        "Invalid number of values in tensor proto container - Expected: 32 values; Actual: 1 values; input name: in",
    )


@pytest.mark.graphs("tensor")
def test_the_number_of_typed_values_has_to_fit_the_shape(wire: Wire) -> None:
    # Both numbers are bytes, though the text says values.
    refused(
        wire,
        typed("FP32", [3]),
        "Invalid number of values in tensor proto container - Expected: 12 values; Actual: 8 values; input name: in",
    )


@pytest.mark.graphs("tensor")
def test_a_tensors_dimensions_are_not_negative(wire: Wire) -> None:
    made = tensor(np.zeros((2, 3), np.float32))
    made.inputs[0].shape[:] = [2, -3]
    refused(wire, made, "Invalid input shape - Negative dimension size is not acceptable: (2,-3); input name: in")


@pytest.mark.graphs("tensor")
def test_a_tensors_bytes_have_to_fit_its_shape_and_datatype(wire: Wire) -> None:
    made = tensor(np.zeros((2, 3), np.float32))
    made.inputs[0].shape[:] = [2, 4]
    text = "Invalid content size of tensor proto - Expected: {} bytes; Actual: 24 bytes; input name: in"
    refused(wire, made, text.format(32))
    made.inputs[0].datatype = "STRANGE"
    refused(wire, made, text.format(0))


@pytest.mark.graphs("tensor")
def test_a_shape_beyond_size_t_is_refused(wire: Wire) -> None:
    made = tensor(np.zeros((2, 3), np.float32))
    made.inputs[0].shape[:] = [2**62, 2**62]
    refused(
        wire,
        made,
        "Invalid content size of tensor proto - Provided shape and datatype declare too large buffer.",
    )


@pytest.mark.graphs("tensor")
def test_a_tensor_may_be_empty(wire: Wire) -> None:
    (answer,) = wire.stream(tensor(np.zeros((0, 3), np.float32))).answers
    assert (list(answer.outputs[0].shape), list(answer.raw_output_contents)) == ([0, 3], [b""])


@pytest.mark.graphs("tensor")
@pytest.mark.assumption("ov::Tensor may set a limit of its own to the number of dimensions")
def test_more_dimensions_than_the_server_can_hold_are_a_bad_argument(wire: Wire) -> None:
    made = tensor(np.zeros(1, np.uint8))
    made.inputs[0].shape[:] = [1] * 65
    code, text = wire.refusal(made)
    assert code is INVALID_ARGUMENT
    assert text.startswith("Invalid input shape - ")


@pytest.mark.graphs("mediapipeTensor")
@pytest.mark.parametrize("code", ["<f4", "<f2", "<i4", "i1", "u1", "?"])
def test_a_mediapipe_tensor_of_six_datatypes_goes_through(wire: Wire, code: str) -> None:
    value = np.arange(4).reshape(2, 2).astype(code)
    (answer,) = wire.stream(tensor(value, graph="mediapipeTensor")).answers
    assert answer.raw_output_contents[0] == value.tobytes()


@pytest.mark.graphs("mediapipeTensor")
@pytest.mark.parametrize("code", ["<f8", "<i8", "<u2"])
def test_a_mediapipe_tensor_of_another_datatype_is_refused(wire: Wire, code: str) -> None:
    dtype = np.dtype(code)
    refused(
        wire,
        tensor(np.zeros(2, dtype), graph="mediapipeTensor"),
        "Invalid input precision - Not supported precision for Mediapipe tensor deserialization: " + DATATYPES[dtype],
    )


@pytest.mark.graphs("mediapipeTensor")
def test_a_mediapipe_tensors_dimensions_are_positive(wire: Wire) -> None:
    refused(
        wire,
        tensor(np.zeros((2, 0), np.float32), graph="mediapipeTensor"),
        "Invalid input shape - Negative or zero dimension size is not acceptable: (2,0); input name: in",
    )


def test_a_frame_of_1080p_and_of_4k_goes_through(wire: Wire) -> None:
    for height, width in ((1080, 1920), (2160, 3840)):
        pixels = image(0, height, width)
        ended = wire.stream(request("passThrough", ("image", pixels), timestamp=3))
        assert ended.answers[0].raw_output_contents[0] == pixels.tobytes()
        assert stamp(ended.answers[0]) == 3


def test_the_timestamp_is_looked_at_before_the_contents(wire: Wire) -> None:
    ended = wire.stream(request("passThrough", ("foo", image()), timestamp="now"))
    assert ended.errors[0].startswith("Malformed packet timestamp")


def test_the_count_of_contents_is_looked_at_before_the_names(wire: Wire) -> None:
    made = request("passThrough", ("foo", image()))
    made.raw_input_contents.append(b"")
    assert wire.refusal(made)[1].startswith(BOTH)
