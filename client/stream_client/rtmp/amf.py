"""AMF0, the values in RTMP's commands (Adobe's AMF 0 specification, 2007). No I/O."""

import struct
from collections.abc import Mapping
from typing import TypeAlias

from stream_client.errors import RtmpError

Value: TypeAlias = "float | bool | str | dict[str, Value] | list[Value] | None"

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY = 8, 9, 10
_DEEPEST = 8


def encode(*values: object) -> bytes:
    """Numbers, booleans, texts, ``None`` and mappings of these by name."""
    return b"".join(map(_encode, values))


def _encode(value: object) -> bytes:
    match value:
        case None:
            return bytes([_NULL])
        case bool():
            return bytes([_BOOLEAN, value])
        case int() | float():
            return struct.pack("!Bd", _NUMBER, value)
        case str():
            return bytes([_STRING]) + _text(value)
        case Mapping():
            fields = b"".join(_text(name) + _encode(each) for name, each in value.items())
            return bytes([_OBJECT]) + fields + b"\0\0" + bytes([_OBJECT_END])
    raise TypeError(f"{type(value).__name__} has no form in AMF0")


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def decode(data: bytes) -> list[Value]:
    """The values in ``data``. Raises :class:`.RtmpError` for what is no AMF0."""
    values, position = [], 0
    try:
        while position < len(data):
            value, position = _decode(data, position, 0)
            values.append(value)
    except (struct.error, IndexError) as error:
        raise RtmpError("the server's answer is no RTMP") from error
    return values


def _decode(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    kind, position = data[position], position + 1
    if depth > _DEEPEST:
        raise RtmpError("the server's answer is nested too deeply")
    if kind == _NUMBER:
        return struct.unpack_from("!d", data, position)[0], position + 8
    if kind == _BOOLEAN:
        return bool(data[position]), position + 1
    if kind == _STRING:
        return _decode_text(data, position)
    if kind in (_OBJECT, _ECMA_ARRAY):
        return _decode_object(data, position + (4 if kind == _ECMA_ARRAY else 0), depth)
    if kind == _STRICT_ARRAY:
        (count,) = struct.unpack_from("!I", data, position)
        position += 4
        items: list[Value] = []
        for _ in range(min(count, len(data))):
            item, position = _decode(data, position, depth + 1)
            items.append(item)
        return items, position
    if kind in (_NULL, _UNDEFINED):
        return None, position
    raise RtmpError(f"the server's answer has a value of an unknown kind, {kind}")


def _decode_object(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    found: dict[str, Value] = {}
    while True:
        name, position = _decode_text(data, position)
        if not name and data[position] == _OBJECT_END:
            return found, position + 1
        found[name], position = _decode(data, position, depth + 1)


def _decode_text(data: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("!H", data, position)
    end = position + 2 + length
    return data[position + 2 : end].decode("utf-8", "replace"), end
