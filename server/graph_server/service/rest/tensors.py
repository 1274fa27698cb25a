"""Inference over HTTP: JSON with an optional binary tail to a request, and a response back.

Source: src/rest_parser.cpp, src/rest_utils.cpp, src/http_rest_api_handler.cpp. The tail holds the inputs without
``data``, in order; its start is told by the header ``Inference-Header-Content-Length``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from graph_server.service.messages import InferRequest
from graph_server.service.rest.json_faults import fault_of
from graph_server.service.rest.json_size import take_parsed
from graph_server.service.status import Refusal
from kserve_wire.datatypes import CONTENTS, DTYPES, element_count, split_elements
from kserve_wire.joining import joined
from kserve_wire.messages import InferParameter, ModelInferRequest, ModelInferResponse

_INPUT = "Could not parse input content. Not valid ndarray detected"
_OUTPUT = "Could not parse output content."
_PARAMETERS = "Could not parse request parameters"
_PRECISION = "Could not parse input content. Unsupported data precision detected"
_PART = 1 << 16
_NUMBER_BYTES = 48
"""A number as JSON has 26 characters at most. They are joined twice."""
_TEXT_BYTES = 32
"""Memory for a byte of a ``BYTES`` tensor: a text of one letter has five bytes there."""


class NotJson(Refusal):
    """A body that is no JSON. It has its own HTTP status."""

    def __init__(self, details: str = "") -> None:
        super().__init__("The file is not valid json", details, code=grpc.StatusCode.INVALID_ARGUMENT)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31


def _is_uint(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


# Integers beyond 32 bits are refused in JSON whatever the datatype, as in OVMS.
_FITS: dict[str, Callable[[Any], bool]] = {
    "FP32": _is_number, "FP64": _is_number,
    "INT8": _is_int, "INT16": _is_int, "INT32": _is_int, "INT64": _is_int,
    "UINT8": _is_uint, "UINT16": _is_uint, "UINT32": _is_uint, "UINT64": _is_uint,
    "BOOL": lambda value: isinstance(value, bool), "BYTES": lambda value: isinstance(value, str),
}  # fmt: skip


def decode_http_request(
    body: bytes | bytearray, json_size: int | None, name: str, version: str, take: Callable[[int], None]
) -> InferRequest:
    """A request from an HTTP body of which the first ``json_size`` bytes are JSON; raises :class:`Refusal`.

    ``take`` is called with the bytes of memory that the JSON becomes, before it is parsed.
    """
    size = len(body) if json_size is None else json_size
    if size > len(body):
        raise Refusal("Inference-Header-Content-Length header exceeds actual payload length")
    text = body[:size]
    take_parsed(text, take)
    try:
        return _request(json.loads(text, parse_constant=refuse_constant), memoryview(body)[size:], name, version)
    except json.JSONDecodeError as error:
        raise NotJson(fault_of(error)) from error
    except (ValueError, OverflowError, RecursionError) as error:  # halves of surrogate pairs, 400 digits, 1,000 levels
        raise NotJson() from error


def refuse_constant(text: str) -> float:
    """``NaN`` and ``Infinity`` are Python's, not JSON's."""
    raise ValueError(text)


def _request(content: Any, tail: memoryview, name: str, version: str) -> InferRequest:
    if not isinstance(content, dict):
        raise Refusal("Request body should be JSON object")
    message = ModelInferRequest(model_name=name, model_version=version)
    message.id = _typed(content.get("id", ""), str, _INPUT)
    _fill_parameters(message.parameters, content.get("parameters", {}))
    for item in _typed(content.get("outputs", []), list, _INPUT):
        # As in OVMS, the last of several requested outputs counts.
        del message.outputs[:]
        output = message.outputs.add(name=_typed(_typed(item, dict, _OUTPUT).get("name"), str, _OUTPUT))
        _fill_parameters(output.parameters, item.get("parameters", {}))
    inputs = _typed(content["inputs"], list, _INPUT) if "inputs" in content else []
    if not inputs:
        raise Refusal("Invalid JSON structure, missing inputs")
    given = [_fill_input(message, item, len(inputs) == 1) for item in inputs]
    return InferRequest(message, list(_tail(message, given, tail)))


def encode_http_response(
    response: ModelInferResponse,
    contents: Sequence[memoryview],
    request: ModelInferRequest,
    take: Callable[[int], None],
) -> tuple[bytes, int | None]:
    """The body for a ``ModelInferResponse`` and its raw contents, and how much of it is JSON before a binary tail.

    ``take`` is called with the bytes of memory that numbers and texts need as JSON, before they are written.
    """
    binary = _binary_outputs(request)
    content: dict[str, Any] = {"model_name": response.model_name}
    if response.id:
        content["id"] = response.id
    content["model_version"] = response.model_version
    if response.parameters:
        content["parameters"] = {
            key: getattr(value, value.WhichOneof("parameter_choice")) for key, value in response.parameters.items()
        }
    outputs: list[bytes] = []
    tail: list[memoryview] = []
    for output, raw in zip(response.outputs, contents, strict=True):
        item: dict[str, Any] = {"name": output.name, "shape": list(output.shape), "datatype": output.datatype}
        texts = output.datatype == "BYTES"
        if not texts and (output.datatype not in DTYPES or output.datatype == "FP16"):
            raise Refusal(_PRECISION, f"Unsupported precision{output.datatype}")
        if output.name in binary:
            tail.append(raw)
            if raw:
                item["parameters"] = {"binary_data_size": len(raw)}
        elif texts:
            take(len(raw) * _TEXT_BYTES)
            item["data"] = [text.decode(errors="replace") for text in split_elements(raw)]
        else:
            values = np.frombuffer(raw, DTYPES[output.datatype])
            take(values.size * _NUMBER_BYTES)
            outputs.append(_with_numbers(item, values))
            continue
        outputs.append(json.dumps(item).encode())
    head = b'%s, "outputs": [%s]}' % (json.dumps(content).encode()[:-1], b", ".join(outputs))
    return joined((head, *tail)), len(head) if any(tail) else None


def _with_numbers(item: Mapping[str, Any], values: npt.NDArray[Any]) -> bytes:
    """An output with its numbers as ``data``. They are written in parts: nobody else runs while one is written."""
    parts = (values[start : start + _PART] for start in range(0, values.size, _PART))
    numbers = b", ".join(json.dumps(part.tolist()).encode()[1:-1] for part in parts)
    return b'%s, "data": [%s]}' % (json.dumps(item).encode()[:-1], numbers)


def _binary_outputs(request: ModelInferRequest) -> frozenset[str]:
    everything = (
        request.parameters["binary_data_output"].bool_param if "binary_data_output" in request.parameters else False
    )
    return frozenset(
        output.name
        for output in request.outputs
        if (output.parameters["binary_data"].bool_param if "binary_data" in output.parameters else everything)
    )


def _fill_input(message: ModelInferRequest, item: Any, only: bool) -> bool:
    """Add an input. Returns whether its values are in the JSON."""
    fields = _typed(item, dict, _INPUT)
    made = message.inputs.add(
        name=_typed(fields.get("name"), str, _INPUT), datatype=_typed(fields.get("datatype"), str, _INPUT)
    )
    for size in _typed(fields.get("shape"), list, _INPUT):
        if not _is_int(size) or size < 0:
            raise Refusal(_INPUT)
        made.shape.append(size)
    _fill_parameters(made.parameters, fields.get("parameters", {}))
    if "data" in fields:
        data = _typed(fields["data"], list, _INPUT)
        if made.datatype in ("FP16", "BF16"):
            raise Refusal(_INPUT)
        if made.datatype not in _FITS:
            raise Refusal(_PRECISION)
        values = list(_flat(data, _FITS[made.datatype]))
        encoded = [value.encode() for value in values] if made.datatype == "BYTES" else values
        if encoded:  # otherwise empty contents would count as contents
            getattr(made.contents, CONTENTS[made.datatype]).extend(encoded)
        return bool(values)
    if (
        "binary_data_size" not in made.parameters
        and made.datatype == "BYTES"
        and not (only and list(made.shape) == [1])
    ):
        raise Refusal(_INPUT)
    return False


def _tail(message: ModelInferRequest, given: list[bool], tail: memoryview) -> Iterator[memoryview]:
    """The bytes of each input that the JSON does not give."""
    for item, has_data in zip(message.inputs, given, strict=True):
        if "binary_data_size" in item.parameters:
            if has_data:
                raise Refusal("Request contains values both in binary data and in content value")
            parameter = item.parameters["binary_data_size"]
            size = parameter.int64_param
            if parameter.WhichOneof("parameter_choice") != "int64_param" or size < 0:
                raise Refusal("binary_data_size parameter is invalid and cannot be parsed")
        elif has_data:
            continue
        elif len(message.inputs) == 1 and item.datatype == "BYTES":
            size = len(tail)
        else:
            dtype = DTYPES.get(item.datatype)
            size = element_count(item.shape) * (dtype.itemsize if dtype is not None else 0)
        if size > len(tail):
            raise Refusal("Received buffer size is smaller than binary_data_size parameter indicates")
        yield tail[:size]
        tail = tail[size:]


def _flat(values: list[Any], fits: Callable[[Any], bool]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value, fits)
        elif fits(value):
            yield value
        else:
            raise Refusal(_INPUT)


def _fill_parameters(target: Mapping[str, InferParameter], parameters: Any) -> None:
    for key, value in _typed(parameters, dict, _PARAMETERS).items():
        if isinstance(value, str):
            target[key].string_param = value
        elif isinstance(value, bool):
            target[key].bool_param = value
        elif _is_int(value):
            target[key].int64_param = value
        else:
            raise Refusal(_PARAMETERS)


def _typed(value: Any, kind: type, text: str) -> Any:
    if not isinstance(value, kind):
        raise Refusal(text)
    return value
