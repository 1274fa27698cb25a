"""Protobuf's wire form: messages taken apart and put together around large fields, which are not copied.

protobuf itself copies a frame into its message, and once more into the serialised bytes.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Iterator

MAX_FIELDS = 1 << 16
"""The most fields of a message that is taken apart: each costs about 200 bytes here and as few as 2 on the wire."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


def delimited_tag(number: int) -> int:
    """The tag of field ``number`` when it holds bytes, a text or a message."""
    return number << 3 | _LENGTH_DELIMITED


def fields(data: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Walk a message's fields: the tag, the start of the field, the start of its body, its end.

    Raises :class:`ValueError` where ``data`` is not a protobuf message.
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
            raise ValueError(f"a field of unknown wire type {kind}")
        if position > length or tag < 8:  # field numbers begin with 1
            raise ValueError("cut off or not a message")
        count += 1
        if count > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} fields")
        yield tag, start, body, position


def split(data: memoryview, tag: int) -> tuple[bytes, list[memoryview]]:
    """A message without its fields of ``tag``, and the bodies of those as views on ``data``.

    Raises :class:`ValueError` where ``data`` is not a protobuf message.
    """
    rest: list[memoryview] = []
    bodies: list[memoryview] = []
    for found, start, body, end in fields(data):
        if found == tag:
            bodies.append(data[body:end])
        else:
            rest.append(data[start:end])
    return b"".join(rest), bodies


def delimited(tag: int, bodies: Iterable[bytes | memoryview]) -> list[bytes | memoryview]:
    """Parts of a message: a field of ``tag`` for each body. Views have to be of bytes."""
    start = varint(tag)
    parts: list[bytes | memoryview] = []
    for body in bodies:
        parts += (start + varint(len(body)), body)
    return parts


def varint(value: int) -> bytes:
    """A number as protobuf writes it: 7 bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _varint_at(data: memoryview, position: int) -> tuple[int, int]:
    """The number at ``position``, and where it ends."""
    try:
        value = data[position]
        if value < 0x80:  # nearly all are
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
