"""How much memory JSON takes as Python objects, found from its bytes before they are parsed.

The figures are for CPython on 64 bits, rounded up: measured, a body of ``{},{},…`` takes 27 times its size. Lists and
objects count more than their memory, since Python's garbage collector visits them while they are made.
"""

_CHARACTER = 5  # the body as text, at four bytes a character as soon as one is beyond U+FFFF, and its own byte
_ELEMENT = 48  # a place in a list that grows, and a number
_CONTAINER = 256
_TEXT = 64


def parsed_size(text: bytes | bytearray) -> int:
    """Bytes of memory, at most."""
    containers = text.count(b"[") + text.count(b"{")
    return (
        len(text) * _CHARACTER
        + text.count(b",") * _ELEMENT
        + containers * _CONTAINER
        + text.count(b'"') // 2 * _TEXT
    )  # fmt: skip
