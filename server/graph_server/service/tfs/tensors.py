"""Tensors of TensorFlow as those of KServe, and back.

Source: src/tfs_frontend/validation.cpp, serialization.cpp and tfs_utils.cpp of OVMS 2026.2.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from graph_server.service.messages import InferRequest
from graph_server.service.status import Refusal
from graph_server.service.tfs.messages import PredictRequest, PredictResponse, TensorProto, TensorShapeProto
from kserve_wire.datatypes import element_count, join_elements, split_elements
from kserve_wire.messages import ModelInferRequest, ModelInferResponse

DATA_TYPES: Mapping[str, int] = {
    "FP32": 1, "FP64": 2, "INT32": 3, "UINT8": 4, "INT16": 5, "INT8": 6, "BYTES": 7, "INT64": 9, "BOOL": 10,
    "UINT16": 17, "FP16": 19, "UINT32": 22, "UINT64": 23,
}  # fmt: skip
"""The values of ``DataType``, by KServe's names."""
TYPE_NAMES: Mapping[int, str] = {
    0: "DT_INVALID", 1: "DT_FLOAT", 2: "DT_DOUBLE", 3: "DT_INT32", 4: "DT_UINT8", 5: "DT_INT16", 6: "DT_INT8",
    7: "DT_STRING", 9: "DT_INT64", 10: "DT_BOOL", 17: "DT_UINT16", 19: "DT_HALF", 22: "DT_UINT32", 23: "DT_UINT64",
}  # fmt: skip
"""The names of ``DataType``."""
_NAMES = {value: name for name, value in DATA_TYPES.items()}


def as_infer_request(request: PredictRequest) -> InferRequest:
    """The same request in KServe's form; raises :class:`Refusal`."""
    spec = request.model_spec
    message = ModelInferRequest(model_name=spec.name)
    if spec.version.value:
        message.model_version = str(spec.version.value)
    raw = []
    for name, tensor in request.inputs.items():
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        message.inputs.add(name=name, datatype=_NAMES.get(tensor.dtype, "INVALID"), shape=shape)
        raw.append(memoryview(_content(name, tensor, shape)))
    return InferRequest(message, raw)


def as_predict_response(data: bytes) -> PredictResponse:
    """A ``ModelInferResponse``, in TensorFlow's form."""
    answer = ModelInferResponse.FromString(data)
    response = PredictResponse()
    response.model_spec.name = answer.model_name
    response.model_spec.version.value = int(answer.model_version)
    for output, content in zip(answer.outputs, answer.raw_output_contents, strict=True):
        tensor = response.outputs[output.name]
        tensor.dtype = DATA_TYPES.get(output.datatype, 0)  # type: ignore[assignment]  # the value of an enumeration
        tensor.tensor_shape.CopyFrom(shape_of(output.shape))
        if output.datatype == "BYTES":
            tensor.string_val.extend(split_elements(memoryview(content)))
        else:
            tensor.tensor_content = content
    return response


def shape_of(sizes: Sequence[int]) -> TensorShapeProto:
    """A shape as a message."""
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


def _content(name: str, tensor: TensorProto, shape: Sequence[int]) -> bytes:
    """The bytes. TensorFlow's clients leave them empty for texts, UINT16 and FP16, which have fields of their own."""
    datatype = _NAMES.get(tensor.dtype)
    if datatype == "BYTES":
        _check_count(name, shape[0] if shape else 0, len(tensor.string_val))
        return join_elements(tensor.string_val)
    if datatype in ("UINT16", "FP16"):
        values = tensor.int_val if datatype == "UINT16" else tensor.half_val
        _check_count(name, element_count(shape), len(values))
        return np.array(values, np.int64).astype("<u2").tobytes()
    return tensor.tensor_content


def _check_count(name: str, expected: int, actual: int) -> None:
    if expected != actual:
        details = f"Expected: {expected}; Actual: {actual}; input name: {name}"
        raise Refusal("Invalid number of values in tensor proto container", details)
