"""Requests to bytes and bytes to answers, without a copy more than needed.

protobuf would copy a frame into the message and again into the bytes. Here it serialises only the small
header; the frame is appended as the message's last field (``raw_input_contents``, field 7) in one join. A
response is split the same way: its fields are walked, the tensors' bytes stay where they are, and
protobuf parses the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kserve_wire.datatypes import CONTENTS
from stream_client.errors import ProtocolError
from stream_client.frames import Tensor
from stream_client.transport.datatypes import bytes_of, dtype_of, in_shape, tensor_from_bytes
from stream_client.transport.messages import message_class

Parameter = bool | int | str

REGION, OFFSET, BYTE_SIZE = "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"
"""Parameters of a tensor that lies in shared memory instead of in its message (Triton's extension)."""

_RAW_INPUT_TAG = b"\x3a"  # field 7, length-delimited
_RAW_OUTPUT_FIELD = 6
_ERROR_FIELD = 1
_RESPONSE_FIELD = 2
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in shared memory: a registered region, and bytes in it."""

    region: str
    offset: int
    byte_size: int


def nowhere(place: Place) -> memoryview:
    """For sessions without shared memory: raises :class:`ProtocolError`."""
    raise ProtocolError(f"the answer is said to be in shared memory, and none was offered: {place}")


@dataclass(frozen=True, slots=True)
class InferResponse:
    """A parsed ``ModelInferResponse``; tensors are read-only views on the received bytes."""

    model_name: str
    id: str
    parameters: Mapping[str, Parameter]
    outputs: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """A parsed ``ModelStreamInferResponse``: an error text, a response, or both."""

    error: str
    response: InferResponse | None
    """Beside an error, whatever the server sent with it: Triton says there whose error it is."""
    foreign: bool = False
    """Whether this is a bare ``ModelInferResponse``, from a server without the wrapper."""


def encode_request(
    model_name: str,
    inputs: Sequence[Tensor],
    *,
    id: str = "",
    model_version: str = "",
    parameters: Mapping[str, Parameter] | None = None,
    input_places: Mapping[str, Place] | None = None,
    output_places: Mapping[str, Place | None] | None = None,
) -> bytes:
    """A serialised ``ModelInferRequest``; the tensors' bytes are copied once, into the result.

    Inputs in ``input_places`` lie there already; outputs in ``output_places`` are asked for, to be put
    there where it says a place.
    """
    request = message_class("ModelInferRequest")(model_name=model_name, model_version=model_version, id=id)
    for name, value in (parameters or {}).items():
        _set_parameter(request.parameters[name], value)
    parts: list[bytes | memoryview] = [b""]
    for tensor in inputs:
        header = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
        if input_places and tensor.name in input_places:
            _set_place(header.parameters, input_places[tensor.name])
            continue
        data = bytes_of(tensor.datatype, tensor.array)
        parts += (_RAW_INPUT_TAG + _varint(len(data)), data)
    for name, place in (output_places or {}).items():
        asked = request.outputs.add(name=name)
        if place is not None:
            _set_place(asked.parameters, place)
    parts[0] = request.SerializeToString()
    return b"".join(parts)


def decode_response(data: bytes | memoryview, shared: Callable[[Place], memoryview] = nowhere) -> InferResponse:
    """Parse a ``ModelInferResponse``; ``shared`` looks into shared memory. Raises :class:`ProtocolError`."""
    view = memoryview(data)
    header: list[memoryview] = []
    raw: list[memoryview] = []
    for number, start, body, end in _fields(view):
        if number == _RAW_OUTPUT_FIELD:
            raw.append(view[body:end])
        else:
            header.append(view[start:end])
    return _response(_parse(b"".join(header)), raw, shared)


def decode_stream_response(
    data: bytes | memoryview, model_name: str, shared: Callable[[Place], memoryview] = nowhere
) -> StreamResponse:
    """Parse a ``ModelStreamInferResponse``; raises :class:`ProtocolError`.

    A server that streams bare ``ModelInferResponse`` messages puts its model's name where an error text
    would be: that is told apart by ``foreign``.
    """
    view = memoryview(data)
    error = ""
    response: memoryview | None = None
    for number, _, body, end in _fields(view):
        if number == _ERROR_FIELD:
            error = _text(view[body:end])
        elif number == _RESPONSE_FIELD:
            response = view[body:end]
    if error and error == model_name:
        return StreamResponse(error="", response=None, foreign=True)
    if error:
        return StreamResponse(error=error, response=None if response is None else decode_response(response))
    return StreamResponse(error="", response=decode_response(response if response is not None else b"", shared))


def _response(message: Any, raw: list[memoryview], shared: Callable[[Place], memoryview]) -> InferResponse:
    places = [_place(output.parameters) for output in message.outputs]
    inside = places.count(None)
    if raw and len(raw) != inside:
        raise ProtocolError(f"the answer has {inside} outputs but {len(raw)} raw contents")
    contents = iter(raw)
    outputs = {}
    for output, place in zip(message.outputs, places, strict=True):
        if place is not None:
            array = tensor_from_bytes(output.name, output.datatype, output.shape, shared(place))
        elif raw:
            array = tensor_from_bytes(output.name, output.datatype, output.shape, next(contents))
        else:
            array = _typed_contents(output)
        outputs[output.name] = Tensor(output.name, output.datatype, array)
    parameters = {name: _parameter(value) for name, value in message.parameters.items()}
    return InferResponse(message.model_name, message.id, parameters, outputs)


def _typed_contents(output: Any) -> Any:
    """A tensor whose values stand in the message itself, as small answers of some servers do."""
    contents = CONTENTS.get(output.datatype)
    if contents is None:
        raise ProtocolError(f"output {output.name!r} of {output.datatype} has no raw contents")
    values = list(getattr(output.contents, contents))
    if output.datatype == "BYTES":
        array = np.empty(len(values), dtype=object)
        array[:] = values
    else:
        try:
            array = np.array(values, dtype=dtype_of(output.datatype))
        except OverflowError as error:
            raise ProtocolError(f"output {output.name!r} has values beyond {output.datatype}") from error
    shape = tuple(output.shape)
    if any(size < 0 for size in shape) or int(np.prod(shape, dtype=object)) != len(values):
        raise ProtocolError(f"output {output.name!r} of shape {list(shape)} has {len(values)} values")
    return in_shape(output.name, array, shape)


def _parse(header: bytes) -> Any:
    try:
        return message_class("ModelInferResponse").FromString(header)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise ProtocolError(f"the answer is not a KServe v2 ModelInferResponse: {error}") from error


def _fields(view: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Walk a message's fields: (number, start of the tag, start of the body, end)."""
    position = 0
    while position < len(view):
        start = position
        tag, position = _read_varint(view, position)
        number, kind = tag >> 3, tag & 7
        body = position
        if kind == _LENGTH_DELIMITED:
            size, body = _read_varint(view, position)
            position = body + size
        elif kind == _VARINT:
            _, position = _read_varint(view, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        else:
            raise ProtocolError(f"the answer has a field of unknown wire type {kind}")
        if position > len(view) or number == 0:
            raise ProtocolError("the answer is cut off or not a protobuf message")
        yield number, start, body, position


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(view):
            raise ProtocolError("the answer is cut off")
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ProtocolError("the answer has a number longer than 10 bytes")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _text(view: memoryview) -> str:
    return bytes(view).decode("utf-8", errors="replace")


def _set_parameter(message: Any, value: Parameter) -> None:
    # bool first: it is an int too
    if isinstance(value, bool):
        message.bool_param = value
    elif isinstance(value, int):
        message.int64_param = value
    else:
        message.string_param = value


def _set_place(parameters: Any, place: Place) -> None:
    parameters[REGION].string_param = place.region
    parameters[OFFSET].int64_param = place.offset
    parameters[BYTE_SIZE].int64_param = place.byte_size


def _place(parameters: Any) -> Place | None:
    if REGION not in parameters:
        return None
    offset = parameters[OFFSET].int64_param if OFFSET in parameters else 0
    size = parameters[BYTE_SIZE].int64_param if BYTE_SIZE in parameters else 0
    return Place(parameters[REGION].string_param, offset, size)


def _parameter(message: Any) -> Parameter:
    kind = message.WhichOneof("parameter_choice")
    return "" if kind is None else getattr(message, kind)  # type: ignore[no-any-return,unused-ignore]
