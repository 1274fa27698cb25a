"""Requests and responses without needless copies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message

from graph_server.service.region import RegionPlace
from graph_server.service.status import Refusal, plain
from kserve_wire.fields import delimited, delimited_tag, split, varint
from kserve_wire.joining import joined
from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse

_RAW_INPUT = delimited_tag(ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER)
_RAW_OUTPUT = delimited_tag(ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER)
_STREAM_RESPONSE = varint(delimited_tag(ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER))
_Message = TypeVar("_Message", bound=Message)

PARSED_SIZE = 32
"""Bytes of memory for a byte of a message that protobuf parses, at most: an empty text has 2 bytes on the wire."""
_MAX_CONTROL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request: the message without its raw contents, and those as views on the received bytes.

    ``places``: the outputs that are to be put into shared memory, by name.
    """

    message: ModelInferRequest
    raw: Sequence[memoryview]
    places: Mapping[str, RegionPlace] = field(default_factory=dict)


def decode_request(data: bytes, take: Callable[[int], None]) -> InferRequest:
    """Split a ``ModelInferRequest`` into header and tensors. Raises :class:`Refusal` for other bytes.

    ``take`` is called with the bytes of memory that the header becomes, before it is parsed.
    """
    try:
        header, raw = split(memoryview(data), _RAW_INPUT)
    except ValueError as error:
        raise _not_a_request(error) from error
    take(sum(map(len, header)) * PARSED_SIZE)
    try:
        message = ModelInferRequest.FromString(b"".join(header))
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise _not_a_request(error) from error
    return InferRequest(message, raw)


def _not_a_request(error: Exception) -> Refusal:
    return Refusal(f"the request is not a KServe v2 ModelInferRequest: {error}")


def encode_response(message: ModelInferResponse, raw: Sequence[bytes | memoryview]) -> bytes:
    """A ``ModelInferResponse`` with its raw contents appended: one copy of them."""
    return joined([message.SerializeToString(), *delimited(_RAW_OUTPUT, raw)])


def decode_response(data: bytes) -> tuple[ModelInferResponse, list[memoryview]]:
    """What :func:`encode_response` made: the message without its raw contents, and those as views."""
    header, raw = split(memoryview(data), _RAW_OUTPUT)
    return ModelInferResponse.FromString(b"".join(header)), raw


def encode_stream_response(message: ModelInferResponse, raw: Sequence[bytes | memoryview]) -> bytes:
    """The same inside a ``ModelStreamInferResponse``."""
    parts = [message.SerializeToString(), *delimited(_RAW_OUTPUT, raw)]
    return joined([_STREAM_RESPONSE, varint(sum(map(len, parts))), *parts])


def encode_stream_error(text: str) -> bytes:
    """An error inside a stream: no id, no timestamp."""
    return ModelStreamInferResponse(error_message=plain(text)).SerializeToString()


def parse(kind: type[_Message], data: bytes) -> _Message:
    """A small message of KServe v2; raises :class:`Refusal` for other bytes."""
    if len(data) > _MAX_CONTROL_BYTES:
        raise Refusal(f"a {kind.DESCRIPTOR.name} of {len(data)} bytes; the limit is {_MAX_CONTROL_BYTES}")
    try:
        return kind.FromString(data)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a KServe v2 {kind.DESCRIPTOR.name}: {error}") from error
