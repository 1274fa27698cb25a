"""Requests and responses without needless copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graph_server.service.region import Region, RegionPlace
from graph_server.service.status import Refusal
from kserve_wire.fields import delimited, delimited_tag, split, varint
from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse

_RAW_INPUT = delimited_tag(ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER)
_RAW_OUTPUT = delimited_tag(ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER)
_STREAM_RESPONSE = varint(delimited_tag(ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER))


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request: the message without its raw contents, and those as views on the received bytes.

    ``places``: the outputs that are to be put into shared memory, by name; ``regions``: all regions that it names.
    """

    message: ModelInferRequest
    raw: Sequence[memoryview]
    places: Mapping[str, RegionPlace] = field(default_factory=dict)
    regions: frozenset[Region] = frozenset()


def decode_request(data: bytes) -> InferRequest:
    """Split a ``ModelInferRequest`` into header and tensors. Raises :class:`Refusal` for other bytes."""
    try:
        header, raw = split(memoryview(data), _RAW_INPUT)
        message = ModelInferRequest.FromString(header)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a KServe v2 ModelInferRequest: {error}") from error
    return InferRequest(message, raw)


def encode_response(message: ModelInferResponse, raw: Sequence[bytes | memoryview]) -> bytes:
    """A ``ModelInferResponse`` with its raw contents appended: one copy of them."""
    return b"".join([message.SerializeToString(), *delimited(_RAW_OUTPUT, raw)])


def encode_stream_response(message: ModelInferResponse, raw: Sequence[bytes | memoryview]) -> bytes:
    """The same inside a ``ModelStreamInferResponse``."""
    parts = [message.SerializeToString(), *delimited(_RAW_OUTPUT, raw)]
    return b"".join([_STREAM_RESPONSE, varint(sum(map(len, parts))), *parts])


def encode_stream_error(text: str) -> bytes:
    """An error inside a stream: no id, no timestamp."""
    return ModelStreamInferResponse(error_message=text).SerializeToString()
