"""Requests to bytes, and bytes to answers, with as few copies as possible.

protobuf serialises only the small header of a request; the frame is the message's last field
(``raw_input_contents``), and a part of its own. A response is split the same way: the tensors' bytes stay where they
are, and protobuf parses the rest.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kserve_wire.datatypes import CONTENTS, element_count
from kserve_wire.fields import delimited, delimited_tag, fields, split
from kserve_wire.messages import (
    InferParameter,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from kserve_wire.names import TIMESTAMP
from kserve_wire.shared_memory import Place, place_of, set_place
from stream_client.errors import ProtocolError
from stream_client.frames import Tensor
from stream_client.transport.datatypes import bytes_of, check_shape, dtype_of, in_shape, tensor_from_bytes
from stream_client.transport.message import Message
from stream_client.transport.options import Parameter

MAX_HEADER_BYTES = 16 << 20
"""Of an answer without its raw contents. protobuf and Python take a multiple of them in memory."""
MAX_ERROR_BYTES = 65_536
"""Of an error's text; the rest is not looked at."""
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_RAW_INPUT = delimited_tag(ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER)
_RAW_OUTPUT = delimited_tag(ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER)
_ERROR = delimited_tag(ModelStreamInferResponse.ERROR_MESSAGE_FIELD_NUMBER)
_RESPONSE = delimited_tag(ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER)


Shared = Callable[[int | None, str, Place], memoryview]
"""Finds an output that is not in its message, by the answer's timestamp, the output's name and its place."""


def nowhere(timestamp: int | None, name: str, place: Place) -> memoryview:
    """For sessions without shared memory: raises :class:`.ProtocolError`."""
    raise ProtocolError(f"the answer is said to be in shared memory, and none was offered: {place}")


@dataclass(frozen=True, slots=True)
class InferResponse:
    """A parsed ``ModelInferResponse``; tensors are read-only views on the received bytes."""

    model_name: str
    id: str
    parameters: Mapping[str, Parameter]
    outputs: Mapping[str, Tensor]

    @property
    def timestamp(self) -> int | None:
        """The request that is answered: OVMS names it by a parameter, Triton by the id. ``None`` for others."""
        return _timestamp(self.id, self.parameters)


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """A parsed ``ModelStreamInferResponse``: an error text, a response, or both."""

    error: str
    response: InferResponse | None
    """Beside an error: what the server sent with it. Triton names the request there."""
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
) -> Message:
    """A serialised ``ModelInferRequest``; the tensors' bytes are not copied where they are contiguous.

    Inputs in ``input_places`` are in shared memory already. Outputs in ``output_places`` are requested, and go into
    shared memory where a place is given.
    """
    request = ModelInferRequest(model_name=model_name, model_version=model_version, id=id)
    for name, value in (parameters or {}).items():
        _set_parameter(request.parameters[name], value)
    raw: list[bytes | memoryview] = []
    for tensor in inputs:
        header = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
        if input_places and tensor.name in input_places:
            set_place(header.parameters, input_places[tensor.name])
        else:
            raw.append(bytes_of(tensor.datatype, tensor.array))
    for name, place in (output_places or {}).items():
        asked = request.outputs.add(name=name)
        if place is not None:
            set_place(asked.parameters, place)
    return Message([request.SerializeToString(), *delimited(_RAW_INPUT, raw)])


def decode_response(data: bytes | memoryview, shared: Shared = nowhere) -> InferResponse:
    """Parse a ``ModelInferResponse``; ``shared`` looks into shared memory. Raises :class:`.ProtocolError`."""
    try:
        header, raw = split(memoryview(data), _RAW_OUTPUT)
        size = sum(map(len, header))
        if size > MAX_HEADER_BYTES:
            raise ProtocolError(
                f"the answer has {size} bytes beside its raw contents, {MAX_HEADER_BYTES} are taken: a server "
                "has to send large tensors as raw contents"
            )
        message = ModelInferResponse.FromString(b"".join(header))
    except ProtocolError:
        raise
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise ProtocolError(f"the answer is not a KServe v2 ModelInferResponse: {error}") from error
    return _response(message, raw, shared)


def decode_stream_response(data: bytes | memoryview, model_name: str, shared: Shared = nowhere) -> StreamResponse:
    """Parse a ``ModelStreamInferResponse``; raises :class:`.ProtocolError`.

    A server that streams bare ``ModelInferResponse`` messages puts its model's name where an error text would be;
    ``foreign`` marks these.
    """
    view = memoryview(data)
    error = ""
    response: memoryview | None = None
    try:
        for tag, _, body, end in fields(view):
            if tag == _ERROR:
                error = str(view[body : min(end, body + MAX_ERROR_BYTES)], "utf-8", "replace")
            elif tag == _RESPONSE:
                response = view[body:end]
    except ValueError as malformed:
        raise ProtocolError(f"the answer is not a KServe v2 ModelStreamInferResponse: {malformed}") from malformed
    if error and error == model_name:
        return StreamResponse(error="", response=None, foreign=True)
    if error:
        return StreamResponse(error=error, response=None if response is None else decode_response(response))
    return StreamResponse(error="", response=decode_response(response if response is not None else b"", shared))


def _response(message: ModelInferResponse, raw: list[memoryview], shared: Shared) -> InferResponse:
    places = [place_of(output.parameters) for output in message.outputs]
    inside = places.count(None)
    if raw and len(raw) != inside:
        raise ProtocolError(f"the answer has {inside} outputs but {len(raw)} raw contents")
    contents = iter(raw)
    parameters = {name: _parameter(value) for name, value in message.parameters.items()}
    timestamp = _timestamp(message.id, parameters)
    outputs = {}
    for output, place in zip(message.outputs, places, strict=True):
        if place is not None:
            array = tensor_from_bytes(output.name, output.datatype, output.shape, shared(timestamp, output.name, place))
        elif raw:
            array = tensor_from_bytes(output.name, output.datatype, output.shape, next(contents))
        else:
            array = _typed_contents(output)
        outputs[output.name] = Tensor(output.name, output.datatype, array)
    return InferResponse(message.model_name, message.id, parameters, outputs)


def _timestamp(id: str, parameters: Mapping[str, Parameter]) -> int | None:
    given = parameters.get(TIMESTAMP)
    if isinstance(given, int):
        return given
    return int(id) if _NUMBER.fullmatch(id) else None


def _typed_contents(output: ModelInferResponse.InferOutputTensor) -> npt.NDArray[Any]:
    """A tensor with its values in the message itself, as some servers send small answers."""
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
    check_shape(output.name, output.shape)
    shape = tuple(output.shape)
    if element_count(shape) != len(values):
        raise ProtocolError(f"output {output.name!r} of shape {list(shape)} has {len(values)} values")
    return in_shape(output.name, array, shape)


def _set_parameter(message: InferParameter, value: Parameter) -> None:
    # bool first: it is an int too
    if isinstance(value, bool):
        message.bool_param = value
    elif isinstance(value, int):
        message.int64_param = value
    else:
        message.string_param = value


def _parameter(message: InferParameter) -> Parameter:
    kind = message.WhichOneof("parameter_choice")
    value: Parameter = "" if kind is None else getattr(message, kind)
    return value
