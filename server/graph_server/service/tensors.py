"""Tensors on the wire to values in a graph, and back, with OVMS's checks and texts.

Source: src/kfs_frontend/kfs_graph_executor_impl.cpp.
"""

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from graph_server.python_nodes.tensor import Tensor
from graph_server.service.messages import InferRequest
from graph_server.service.status import Refusal
from kserve_wire.datatypes import CONTENTS, DATATYPES, DTYPES, element_count
from kserve_wire.messages import ModelInferRequest, ModelInferResponse

_IMAGE_CHANNELS = {
    "UINT8": (1, 3, 4), "INT8": (1, 3, 4), "UINT16": (1, 3, 4), "INT16": (1, 3, 4), "FP16": (1, 3, 4),
    "FP32": (1, 2, 4),
}  # fmt: skip
# OVMS counts a character for each element of BYTES, but a std::string for the size that a tensor must have.
_CHARACTER, _STRING = 1, 32
_PIXELS: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<u2")}
_MEDIAPIPE_DATATYPES = ("FP32", "FP16", "INT32", "INT8", "UINT8", "BOOL")
_SHAPE, _SIZE = "Invalid input shape", "Invalid content size of tensor proto"


def check_contents(request: InferRequest) -> None:
    """Refuse a request that mixes raw and typed contents."""
    inputs, raw = request.message.inputs, request.raw
    if not raw:
        return
    both = (
        "Passing buffers both in ModelInferRequest::InferInputTensor::contents and in "
        "ModelInferRequest::raw_input_contents is not allowed"
    )
    if len(raw) != len(inputs):
        raise Refusal(both, f"Size of raw_input_contents: {len(raw)} is different than number of inputs: {len(inputs)}")
    for item in inputs:
        if item.HasField("contents"):
            raise Refusal(
                both,
                "Passing buffers both in InferInputTensor contents and in raw_input_contents is not allowed. "
                f"Detected buffer in InferInputTensor contents for input: {item.name}",
            )


def input_value(request: InferRequest, index: int, tag: str) -> npt.NDArray[Any]:
    """The value of an input for a stream with ``tag``: a read-only view on the received bytes."""
    item = request.message.inputs[index]
    raw = request.raw[index] if request.raw else None
    if tag.startswith("IMAGE"):
        return _image(item, raw)
    if tag.startswith("OVMS_PY_TENSOR"):
        return _python_tensor(item, raw)
    if tag.startswith("TENSOR"):
        _check_mediapipe_tensor(item)
    return _tensor(item, raw)


def listed(shape: Sequence[int]) -> str:
    """A shape in OVMS's words: ``(1,195)``."""
    return f"({','.join(str(size) for size in shape)})"


def _check_mediapipe_tensor(item: ModelInferRequest.InferInputTensor) -> None:
    """MediaPipe's own tensors have fewer datatypes than OpenVINO's, and no empty dimension."""
    if item.datatype not in _MEDIAPIPE_DATATYPES:
        raise Refusal(
            "Invalid input precision",
            f"Not supported precision for Mediapipe tensor deserialization: {item.datatype}",
        )
    if any(size <= 0 for size in item.shape):
        raise Refusal(
            _SHAPE,
            f"Negative or zero dimension size is not acceptable: {listed(item.shape)}; input name: {item.name}",
        )


def _image(item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> npt.NDArray[Any]:
    if raw is None:
        raise Refusal("Mediapipe execution failed. MP status")
    shape = tuple(item.shape)
    if len(shape) != 3:
        raise Refusal(_SHAPE, f"Invalid Mediapipe Image input shape size. Expected: 3; Actual: {len(shape)}")
    for size, what in zip(shape, ("height", "width", "number of channels"), strict=True):
        if size <= 0:
            raise Refusal(
                _SHAPE,
                f"Invalid Mediapipe Image input {what}. Expected greater than 0; Actual: {size}; "
                "Expected layout - HWC.",
            )
    dtype = DTYPES.get(item.datatype)
    expected = element_count(shape) * _element_bytes(item.datatype, _CHARACTER)
    if expected >= 2**64:
        raise Refusal(_SIZE, "Invalid Mediapipe Image input: shape dimensions overflow size_t")
    if len(raw) != expected:
        raise Refusal(_SIZE, f"Invalid Mediapipe Image input buffer size. Actual: {len(raw)}; Expected: {expected}")
    if dtype is None or shape[2] not in _IMAGE_CHANNELS.get(item.datatype, ()):
        raise Refusal(
            "Inputs inside buffer does not match expected format.",
            "Invalid KFS request datatype, conversion to Mediapipe ImageFrame format failed.",
        )
    # Integers and half floats become formats of 8 and 16 bits, as in OVMS: an INT8 image comes back as UINT8.
    return np.frombuffer(raw, _PIXELS.get(dtype.itemsize, dtype)).reshape(shape)


def _tensor(item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> npt.NDArray[Any]:
    dtype = DTYPES.get(item.datatype)
    expected = _declared_bytes(item, _STRING)
    if raw is None:
        return _typed(item, expected)
    if len(raw) != expected or dtype is None:
        raise Refusal(_SIZE, f"Expected: {expected} bytes; Actual: {len(raw)} bytes; input name: {item.name}")
    return _shaped(np.frombuffer(raw, dtype), item)


def _python_tensor(item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> Tensor:
    shape = tuple(item.shape)
    size = _declared_bytes(item, _CHARACTER)
    if raw is not None:
        # Other datatypes than KServe's numbers are raw bytes, whatever the shape says.
        if item.datatype in DTYPES and len(raw) != size:
            raise Refusal(_SIZE, f"Invalid Python tensor buffer size. Actual: {len(raw)}; Expected: {size}")
        return Tensor.of_bytes(item.name, raw, shape, item.datatype)
    if item.datatype == "BYTES":
        texts = item.contents.bytes_contents
        data = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        return Tensor.of_bytes(item.name, data, shape, item.datatype)
    if item.datatype not in DTYPES:
        raise Refusal(
            "Invalid input precision",
            "Provided datatype is invalid, custom datatypes are allowed only when raw_input_contents is used.",
        )
    return Tensor.of_bytes(item.name, _typed(item, size).tobytes(), shape, item.datatype)


def _declared_bytes(item: ModelInferRequest.InferInputTensor, text: int) -> int:
    """The size that shape and datatype declare, with ``text`` bytes for a text."""
    shape = tuple(item.shape)
    if any(size < 0 for size in shape):
        raise Refusal(_SHAPE, f"Negative dimension size is not acceptable: {listed(shape)}; input name: {item.name}")
    size = element_count(shape) * _element_bytes(item.datatype, text)
    if size >= 2**64:
        raise Refusal(_SIZE, "Provided shape and datatype declare too large buffer.")
    return size


def _element_bytes(datatype: str, text: int) -> int:
    """The size of an element, 0 where the datatype is unknown."""
    dtype = DTYPES.get(datatype)
    return text if datatype == "BYTES" else 0 if dtype is None else dtype.itemsize


def _shaped(values: npt.NDArray[Any], item: ModelInferRequest.InferInputTensor) -> npt.NDArray[Any]:
    try:
        return values.reshape(tuple(item.shape))
    except ValueError as error:  # more dimensions, or larger empty ones, than NumPy can hold
        raise Refusal(_SHAPE, f"{error}; input name: {item.name}") from error


def _typed(item: ModelInferRequest.InferInputTensor, expected: int) -> npt.NDArray[Any]:
    field = CONTENTS.get(item.datatype)
    values = [] if field is None else list(getattr(item.contents, field))
    actual = len(values) * _element_bytes(item.datatype, _CHARACTER)
    if actual != expected or item.datatype not in DTYPES or field is None:
        raise Refusal(
            "Invalid number of values in tensor proto container",
            f"Expected: {expected} values; Actual: {actual} values; input name: {item.name}",
        )
    dtype = DTYPES[item.datatype]
    # Integers that are too large keep their lower bits, as in C++.
    wide = f"{dtype.kind}8" if dtype.kind in "iu" else dtype
    return _shaped(np.array(values, wide).astype(dtype), item)


def describe_output(output: ModelInferResponse.InferOutputTensor, name: str, value: npt.NDArray[Any]) -> None:
    """Fill an ``InferOutputTensor``."""
    output.name = name
    if isinstance(value, Tensor):
        output.datatype = value.datatype
        output.shape.extend(value.shape)
        return
    output.datatype = DATATYPES.get(value.dtype.newbyteorder("="), DATATYPES.get(value.dtype, "INVALID"))
    output.shape.extend(value.shape)


def output_bytes(value: npt.NDArray[Any]) -> memoryview:
    """The bytes of a value as OVMS sends them.

    OVMS copies height x width x channels bytes from the start of an image whose rows may be padded: an image with
    another width than a multiple of 16 comes out sheared. The same happens here.
    """
    if isinstance(value, Tensor):
        return value.contiguous()
    if value.ndim == 3 and value.dtype == np.uint8 and not value.flags.c_contiguous:
        rows = value.base
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.flags.c_contiguous:
            return rows.reshape(-1)[: value.size].data
    contiguous = np.ascontiguousarray(value)
    return contiguous.reshape(-1).view(np.uint8).data


def not_an_array(name: str) -> Refusal:
    """A packet that cannot leave a graph."""
    return Refusal(
        "Mediapipe execution failed. MP status",
        f"output {name} is not a tensor or image",
        code=grpc.StatusCode.INVALID_ARGUMENT,
    )


def not_of_type(name: str, holds: str, wanted: str) -> Refusal:
    """A packet of another type than the output's tag stands for. OVMS ends its process there: ``Packet::Get()``."""
    return Refusal(
        "Mediapipe execution failed. MP status",
        f"output {name} holds {holds}, and its tag stands for {wanted}: OVMS would abort here",
        code=grpc.StatusCode.INVALID_ARGUMENT,
    )
