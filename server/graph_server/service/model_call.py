"""A model served by itself: every input by its name, all outputs in the answer.

Source: src/predict_request_validation_utils.hpp, src/kfs_frontend/validation.cpp; the doubled "input name: " is
OVMS's.
"""

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from graph_server.errors import LoadError
from graph_server.models.description import TensorInfo
from graph_server.models.model import Model
from graph_server.models.preparation import Requested
from graph_server.service.encoded_images import decoded, images_in
from graph_server.service.fit import Fit
from graph_server.service.messages import InferRequest, encode_response
from graph_server.service.shared_memory import deliver
from graph_server.service.status import Refusal, precondition_failed
from graph_server.service.tensors import check_contents, describe_output, input_value, listed, output_bytes
from graph_server.service.texts import (
    are_rows,
    as_objects,
    as_rows,
    check_count,
    check_rows,
    leave_as_texts,
    rows_as_bytes,
    texts_of,
)
from kserve_wire.datatypes import CONTENTS, DTYPES, element_count, join_elements
from kserve_wire.messages import ModelInferRequest, ModelInferResponse

_PRECISIONS = {"FP": "FP", "INT": "I", "UINT": "U"}

Adapt = Callable[[Requested], Model]
"""The model with another batch size or other shapes; raises :class:`LoadError`."""


def infer_model(model: Model, request: InferRequest, adapt: Adapt, *, exact: bool = True) -> bytes:
    """Check the request as OVMS does, adapt the model where its configuration allows it, infer.

    Without ``exact``, inputs that the model does not have are ignored. Raises :class:`Refusal`.
    """
    message = request.message
    if exact and (not message.inputs or len(message.inputs) != len(model.inputs)):
        raise Refusal("Invalid number of inputs", f"Expected: {len(model.inputs)}; Actual: {len(message.inputs)}")
    check_contents(request)
    places = {item.name: index for index, item in reversed(list(enumerate(message.inputs)))}
    values: dict[str, npt.NDArray[Any]] = {}
    fit = Fit(model.config.preparation)
    for info in sorted(model.inputs, key=lambda info: info.name):
        index = places.get(info.name)
        if index is None:
            raise Refusal("Missing input with specific name", f"Required input: {info.name}")
        _check_signs(info, message.inputs[index])
        values[info.name] = _value(info, request, index, fit)
    requested = fit.requested
    if requested is not None:
        try:
            model = adapt(requested)
        except LoadError as error:
            raise precondition_failed("Model could not be reshaped with requested shape") from error
    answer = ModelInferResponse(model_name=model.name, model_version=str(model.version), id=message.id)
    infos = {info.name: info for info in model.outputs}
    raw = [_output(answer, infos[name], value) for name, value in sorted(model.infer(values).items())]
    return encode_response(answer, deliver(answer, raw, request.places))


def _value(info: TensorInfo, request: InferRequest, index: int, fit: Fit) -> npt.NDArray[Any]:
    item, given = request.message.inputs[index], request.raw[index] if request.raw else None
    shape = tuple(item.shape)
    if item.datatype == "BYTES" and info.datatype == "BYTES":
        texts = texts_of(item, given)
        fit.check(info, shape)
        check_count(info, shape, texts)
        return as_objects(shape, texts)
    if item.datatype == "BYTES" and are_rows(info):
        rows = as_rows(info, item, texts_of(item, given))
        if fit.adapts(info):
            fit.check(info, rows.shape)
        else:
            check_rows(info, item, rows)
        return rows
    if item.datatype == "BYTES":
        return decoded(info, images_in(info, item, given))
    if item.datatype != info.datatype:
        details = f"Expected: {_precision(info.datatype)}; Actual: {item.datatype}; input name: input name: {info.name}"
        raise Refusal("Invalid input precision", details)
    fit.check(info, shape)
    _check_size(info, item, given)
    return input_value(request, index, "OVTENSOR")


def _output(answer: ModelInferResponse, info: TensorInfo, value: npt.NDArray[Any]) -> memoryview:
    """Describe an output in ``answer``; gives its bytes."""
    output = answer.outputs.add()
    if value.dtype == object:
        output.name, output.datatype = info.name, "BYTES"
        output.shape.extend(value.shape)
        return memoryview(join_elements(value.reshape(-1)))
    if leave_as_texts(info):
        output.name, output.datatype = info.name, "BYTES"
        output.shape.append(len(value))
        return memoryview(rows_as_bytes(value))
    describe_output(output, info.name, value)
    return output_bytes(value)


def _check_signs(info: TensorInfo, item: ModelInferRequest.InferInputTensor) -> None:
    if any(size < 0 for size in item.shape):
        text = f"Negative or zero dimension size is not acceptable: {listed(item.shape)}"
        raise Refusal("Invalid input shape", f"{text}; input name: input name: {info.name}")


def _check_size(info: TensorInfo, item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> None:
    where = f"input name: input name: {info.name}"
    count, size = element_count(item.shape), DTYPES[info.datatype].itemsize
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


def _precision(datatype: str) -> str:
    """OVMS's own name of a datatype: ``I32`` for INT32, ``STRING`` for BYTES."""
    if datatype == "BYTES":
        return "STRING"
    name = datatype.rstrip("0123456789")
    return _PRECISIONS.get(name, name) + datatype[len(name) :]
