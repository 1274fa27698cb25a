"""Splits and joins protobuf messages on the wire, without a copy of their large fields.

The protobuf library copies a frame into its message, and a second time into the serialised bytes.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Iterator

MAX_FIELDS = 1 << 16
"""The most fields in a message. A field needs about 200 bytes of memory here, but may have only 2 bytes on the wire."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


def delimited_tag(number: int) -> int:
    """The tag of field ``number`` if it holds bytes, a text or a message."""
    return number << 3 | _LENGTH_DELIMITED


def fields(data: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: for each one its tag, its start, the start of its body, and its end.

    Raises :class:`ValueError` if ``data`` is not a protobuf message.
    """
    position = count = 0
    length = len(data)
    while position < length:
        start = position
        tag, position = _varint_at(data, position)
        body = position
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            size, body = _varint_at(data, position)
            position = body + size
        elif kind == _VARINT:
            _, position = _varint_at(data, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        else:
            raise ValueError(f"a field has the unknown wire type {kind}")
        if position > length or tag < 8:  # field numbers begin with 1
            raise ValueError("cut off or not a message")
        count += 1
        if count > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} fields")
        yield tag, start, body, position


def split(data: memoryview, tag: int) -> tuple[list[memoryview], list[memoryview]]:
    """The parts of a message without the fields with ``tag``, and the bodies of these fields, as views on ``data``.

    Raises :class:`ValueError` if ``data`` is not a protobuf message.
    """
    rest: list[memoryview] = []
    bodies: list[memoryview] = []
    for found, start, body, end in fields(data):
        if found == tag:
            bodies.append(data[body:end])
        else:
            rest.append(data[start:end])
    return rest, bodies


def delimited(tag: int, bodies: Iterable[bytes | memoryview]) -> list[bytes | memoryview]:
    """Parts of a message: a field with ``tag`` for each body. Views must be views on bytes."""
    start = varint(tag)
    parts: list[bytes | memoryview] = []
    for body in bodies:
        parts += (start + varint(len(body)), body)
    return parts


def varint(value: int) -> bytes:
    """A number as protobuf writes it: 7 bits in each byte, the lowest bits first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _varint_at(data: memoryview, position: int) -> tuple[int, int]:
    """The number at ``position``, and the position after it."""
    try:
        value = data[position]
        if value < 0x80:  # most numbers have one byte
            return value, position + 1
        value &= 0x7F
        for shift in range(7, 70, 7):
            position += 1
            byte = data[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position + 1
    except IndexError:
        raise ValueError("cut off") from None
    raise ValueError("a number longer than 10 bytes")
