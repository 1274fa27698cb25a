"""KServe v2's messages: their classes, and requests and responses without needless copies."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graph_server.schema import Schema, load_schema
from graph_server.service.region import Place, Region
from graph_server.service.status import Refusal

_RAW_INPUT_FIELD = 7
_MAX_FIELDS = 1 << 16  # each costs about 200 bytes here and as few as 2 on the wire
_RAW_OUTPUT_TAG = b"\x32"  # field 6, length-delimited
_STREAM_RESPONSE_TAG = b"\x12"  # field 2, length-delimited
_MAKING = threading.Lock()


@cache
def _schema() -> Schema:
    return load_schema("graph_server.service", "kserve_v2.binpb")


@cache
def message_class(name: str) -> Any:
    """The class of ``inference.<name>``."""
    with _MAKING:
        return _schema().classes[f"inference.{name}"]


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request: the message without its raw contents, and those as views on the received bytes.

    ``places``: the outputs that are to be put into shared memory, by name; ``regions``: all regions that it names.
    """

    message: Any
    raw: Sequence[memoryview]
    places: Mapping[str, Place] = field(default_factory=dict)
    regions: frozenset[Region] = frozenset()


def decode_request(data: bytes) -> InferRequest:
    """Take a ``ModelInferRequest`` apart; raises :class:`Refusal` for bytes that are none."""
    view = memoryview(data)
    header: list[memoryview] = []
    raw: list[memoryview] = []
    position = 0
    try:
        while position < len(view):
            start = position
            tag, position = _varint_at(view, position)
            kind = tag & 7
            body = position
            if kind == 2:
                size, body = _varint_at(view, position)
                position = body + size
            elif kind == 0:
                _, position = _varint_at(view, position)
            elif kind in (1, 5):
                position += 8 if kind == 1 else 4
            else:
                raise ValueError(f"wire type {kind}")
            if position > len(view):
                raise ValueError("cut off")
            if tag >> 3 == _RAW_INPUT_FIELD and kind == 2:
                raw.append(view[body:position])
            else:
                header.append(view[start:position])
            if len(raw) + len(header) > _MAX_FIELDS:
                raise ValueError(f"more than {_MAX_FIELDS} fields")
        message = message_class("ModelInferRequest").FromString(b"".join(header))
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a KServe v2 ModelInferRequest: {error}") from error
    return InferRequest(message, raw)


def encode_response(message: Any, raw: Sequence[bytes | memoryview]) -> bytes:
    """A ``ModelInferResponse`` with its raw contents appended: one copy of them."""
    parts: list[bytes | memoryview] = [message.SerializeToString()]
    for data in raw:
        parts += (_RAW_OUTPUT_TAG + _varint(len(data)), data)
    return b"".join(parts)


def encode_stream_response(message: Any, raw: Sequence[bytes | memoryview]) -> bytes:
    """The same inside a ``ModelStreamInferResponse``."""
    parts: list[bytes | memoryview] = [b"", message.SerializeToString()]
    for data in raw:
        parts += (_RAW_OUTPUT_TAG + _varint(len(data)), data)
    parts[0] = _STREAM_RESPONSE_TAG + _varint(sum(len(part) for part in parts))
    return b"".join(parts)


def encode_stream_error(text: str) -> bytes:
    """An error inside a stream: no id, no timestamp."""
    return bytes(message_class("ModelStreamInferResponse")(error_message=text).SerializeToString())


def _varint_at(view: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number longer than 10 bytes")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
