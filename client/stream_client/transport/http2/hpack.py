"""Headers of HTTP/2 as bytes: HPACK without a dynamic table (RFC 7541), which the other side is told to do without.

They are written literally, and read in every form. Entries of the static table that say nothing about a call have no
name here.
"""

from collections.abc import Iterable, Mapping

_STATUS = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
"""The static table's entries of ``:status``."""
_STATIC = 61
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTHS = (
    "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca"
    "d67777777777777777777777878djde6f56565666577666567655677777fbeds"
    "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn"
    "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq"
)
"""Bits of the Huffman code of each byte (RFC 7541, appendix B), in base 36. Codes of one length count up."""


def _codes() -> Mapping[tuple[int, int], int]:
    """The byte of each code, by its length and value."""
    lengths = [_DIGITS.index(digit) for digit in _LENGTHS]
    found: dict[tuple[int, int], int] = {}
    code = before = 0
    for length, byte in sorted((length, byte) for byte, length in enumerate(lengths)):
        code <<= length - before
        found[length, code] = byte
        code, before = code + 1, length
    return found


_CODES = _codes()
_LONGEST = max(length for length, _ in _CODES)


def encode(headers: Iterable[tuple[str, str]]) -> bytes:
    """The block of these headers."""
    block = bytearray()
    for header in headers:
        block.append(0)  # literal, for no table
        for text in header:
            data = text.encode()
            block += _integer(len(data)) + data
    return bytes(block)


def decode(block: bytes) -> dict[str, str]:
    """The headers of a block; of two of one name the last. Raises :class:`ValueError` for what is no block."""
    headers: dict[str, str] = {}
    position = 0
    while position < len(block):
        first = block[position]
        if first & 0x80:  # name and value of the table
            index, position = _integer_at(block, position, 7)
            if not 0 < index <= _STATIC:
                raise ValueError(f"header {index} is not in the table")
            if index in _STATUS:
                headers[":status"] = _STATUS[index]
            continue
        if first & 0xE0 == 0x20:  # the size of the dynamic table
            _, position = _integer_at(block, position, 5)
            continue
        index, position = _integer_at(block, position, 6 if first & 0x40 else 4)
        if index:
            name = ":status" if index in _STATUS else ""
        else:
            name, position = _text_at(block, position)
        headers[name], position = _text_at(block, position)
    return headers


def _integer(value: int) -> bytes:
    """A number of which the first byte has 7 bits."""
    if value < 0x7F:
        return bytes([value])
    value, data = value - 0x7F, bytearray([0x7F])
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _integer_at(block: bytes, position: int, bits: int) -> tuple[int, int]:
    """A number of which the first byte has so many bits, and the position after it."""
    most = (1 << bits) - 1
    value = block[position] & most
    position += 1
    if value < most:
        return value, position
    for shift in range(0, 28, 7):
        if position == len(block):
            break
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number that is cut off or too large")


def _text_at(block: bytes, position: int) -> tuple[str, int]:
    if position == len(block):
        raise ValueError("cut off")
    packed = block[position] & 0x80
    length, position = _integer_at(block, position, 7)
    data = block[position : position + length]
    if len(data) != length:
        raise ValueError("cut off")
    return (_unpacked(data) if packed else data).decode("utf-8", "replace"), position + length


def _unpacked(data: bytes) -> bytes:
    """Text of Huffman's code. The bits that are left over are all set."""
    found = bytearray()
    code = length = 0
    for byte in data:
        for shift in range(7, -1, -1):
            code, length = code << 1 | byte >> shift & 1, length + 1
            if (length, code) in _CODES:
                found.append(_CODES[length, code])
                code = length = 0
            elif length > _LONGEST:
                raise ValueError("no text")
    if length > 7 or code != (1 << length) - 1:
        raise ValueError("no text")
    return bytes(found)
