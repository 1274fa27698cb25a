"""A message to a server in parts, so that nobody has to copy a frame into it."""

from collections.abc import Sequence

Part = bytes | memoryview


class Message:
    """The bytes of ``parts``, one after the other. A frame among them is a view on its own array."""

    __slots__ = ("_size", "parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._size = sum(map(len, parts))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)
