"""A model served by itself: every input by its name, all outputs in the answer.

Source: src/predict_request_validation_utils.hpp, src/kfs_frontend/validation.cpp; the doubled "input name: " is
OVMS's.
"""

import math
from collections.abc import Sequence

from graph_server.models.model import Model, TensorInfo
from graph_server.service.messages import InferRequest, encode_response
from graph_server.service.pictures import decoded, pictures_of
from graph_server.service.shared_memory import deliver
from graph_server.service.status import Refusal
from graph_server.service.tensors import (
    check_contents,
    describe_output,
    input_value,
    listed,
    output_bytes,
)
from kserve_wire.datatypes import CONTENTS, DTYPES
from kserve_wire.messages import ModelInferRequest, ModelInferResponse

_PRECISIONS = {"FP": "FP", "INT": "I", "UINT": "U"}


def infer_model(model: Model, request: InferRequest) -> bytes:
    """Check the request as OVMS does, then infer; raises :class:`Refusal`."""
    message = request.message
    if not message.inputs or len(message.inputs) != len(model.inputs):
        raise Refusal("Invalid number of inputs", f"Expected: {len(model.inputs)}; Actual: {len(message.inputs)}")
    check_contents(request)
    places = {item.name: index for index, item in reversed(list(enumerate(message.inputs)))}
    values = {}
    for info in sorted(model.inputs, key=lambda info: info.name):
        index = places.get(info.name)
        if index is None:
            raise Refusal("Missing input with specific name", f"Required input: {info.name}")
        item, given = message.inputs[index], request.raw[index] if request.raw else None
        _check_signs(info, item)
        if item.datatype == "BYTES":
            values[info.name] = decoded(info, pictures_of(info, item, given))
            continue
        _check(info, item)
        _check_size(info, item, given)
        values[info.name] = input_value(request, index, "OVTENSOR")
    answer = ModelInferResponse(model_name=model.name, model_version=str(model.version), id=message.id)
    raw = []
    for name, value in sorted(model.infer(values).items()):
        describe_output(answer.outputs.add(), name, value)
        raw.append(output_bytes(value))
    return encode_response(answer, deliver(answer, raw, request.places))


def _check_signs(info: TensorInfo, item: ModelInferRequest.InferInputTensor) -> None:
    if any(size < 0 for size in item.shape):
        details = (
            f"Negative dimension size is not acceptable: {listed(item.shape)}; input name: input name: {info.name}"
        )
        raise Refusal("Invalid input shape", details)


def _check(info: TensorInfo, item: ModelInferRequest.InferInputTensor) -> None:
    where = f"input name: input name: {info.name}"
    shape = tuple(item.shape)
    if item.datatype != info.datatype:
        raise Refusal(
            "Invalid input precision", f"Expected: {_precision(info.datatype)}; Actual: {item.datatype}; {where}"
        )
    expected = f"Expected: {listed(info.shape)}; Actual: {listed(shape)}; {where}"
    if len(shape) != len(info.shape):
        raise Refusal("Invalid number of shape dimensions", expected)
    if shape and not _fits(info.shape[:1], shape[:1]):
        raise Refusal("Invalid input batch size", f"Expected: {info.shape[0]}; Actual: {shape[0]}; {where}")
    if not _fits(info.shape, shape):
        raise Refusal("Invalid input shape", expected)


def _check_size(info: TensorInfo, item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> None:
    where = f"input name: input name: {info.name}"
    count, size = math.prod(item.shape), DTYPES[info.datatype].itemsize
    if count * size >= 2**64:
        raise Refusal("Invalid content size of tensor proto", f"Shape too large; input name: {info.name}")
    if raw is not None and len(raw) != count * size:
        raise Refusal(
            "Invalid content size of tensor proto",
            f"Expected: {count * size} bytes; Actual: {len(raw)} bytes; {where}",
        )
    given = len(getattr(item.contents, CONTENTS[info.datatype])) if info.datatype in CONTENTS else 0
    if raw is None and given != count:
        raise Refusal(
            "Invalid number of values in tensor proto container",
            f"Expected: {count} values; Actual: {given} values; {where}",
        )


def _fits(wanted: Sequence[int], given: Sequence[int]) -> bool:
    return all(want in (-1, got) for want, got in zip(wanted, given, strict=True))


def _precision(datatype: str) -> str:
    """OVMS's own name of a datatype: ``I32`` for INT32."""
    name = datatype.rstrip("0123456789")
    return _PRECISIONS.get(name, name) + datatype[len(name) :]
