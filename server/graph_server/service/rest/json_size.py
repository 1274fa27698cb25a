"""How much memory JSON takes as Python objects, found from its bytes before they are parsed.

The figures are for CPython on 64 bits, rounded up: measured, a body of ``{},{},…`` takes 27 times its size. Lists and
objects count more than their memory, since Python's garbage collector visits them while they are made.
"""

from collections.abc import Callable

_CHARACTER = 5  # the body as text, at four bytes a character as soon as one is beyond U+FFFF, and its own byte
_ELEMENT = 48  # a place in a list that grows, and a number
_CONTAINER = 256
_TEXT = 64


def take_parsed(text: bytes | bytearray, take: Callable[[int], None]) -> None:
    """Call ``take`` with amounts of bytes that together are enough. What it raises ends the counting."""
    take(len(text) * _CHARACTER)
    for character, size in (b"{", _CONTAINER), (b"[", _CONTAINER), (b",", _ELEMENT), (b'"', _TEXT // 2):
        take(text.count(character) * size)
