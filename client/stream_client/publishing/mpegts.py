"""Frames that are encoded already as bytes of MPEG-TS."""

from stream_client.publishing.muxer import Muxer
from stream_client.publishing.wire import EncodedFrame

DATAGRAM = 7 * 188
"""Bytes: as many packets of MPEG-TS as fit into an Ethernet frame."""
_OPTIONS = {"flush_packets": "1", "pat_period": "0.5"}


class TransportStream:
    """Muxes one frame after another. ``first`` has the parameter sets. For one thread.

    Raises :class:`.OutputRefusedError`.
    """

    def __init__(self, first: EncodedFrame) -> None:
        self._pending = bytearray()
        self._muxer = Muxer(self, "mpegts", first, _OPTIONS)

    def write(self, data: bytes) -> int:
        """What the muxer gives."""
        self._pending += data
        return len(data)

    def mux(self, frame: EncodedFrame) -> bytes:
        """The packets of a frame."""
        self._muxer.mux(frame)
        data, self._pending = bytes(self._pending), bytearray()
        return data

    def close(self) -> None:
        """Release the muxer."""
        self._muxer.close()
