"""Headers of HTTP/2 as bytes."""

from collections.abc import Iterable

from hpack import Decoder, Encoder, HPACKError


class HeaderCodec:
    """Writes and reads the headers of one connection."""

    MOST_BYTES = 1 << 16
    """Of headers that are read, unpacked."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._encoder.header_table_size = 0
        self._decoder = Decoder(max_header_list_size=self.MOST_BYTES)

    def encode(self, headers: Iterable[tuple[str, str]]) -> bytes:
        """The block of these headers."""
        return bytes(self._encoder.encode(headers))

    def decode(self, block: bytes) -> dict[str, str]:
        """The headers of a block; of two of one name the last. Raises :class:`ValueError` for what is no block."""
        try:
            return {str(name): str(value) for name, value in self._decoder.decode(block)}
        except HPACKError as error:
            raise ValueError(f"headers that cannot be read: {error}") from error
