"""What the server drew, as H.264 for a track of WebRTC."""

import threading
from fractions import Fraction

import av

from stream_client.frames import Image, StreamInfo
from stream_client.publishing.encoder import PyavEncoder
from stream_client.publishing.wire import VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.util.media import even, written_shape

BITS_A_PIXEL = 0.12
_FRAME_RATE = 30
_LOWEST_BIT_RATE = 500_000


def bit_rate(width: int, height: int) -> int:
    """The most bits a second of frames of that size: 1.1 Mbit/s for 640x480. The quality falls instead."""
    return max(_LOWEST_BIT_RATE, round(BITS_A_PIXEL * _FRAME_RATE * width * height))


class DrawnVideo:
    """Encodes frames, in any thread. A frame of another size begins anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoder: PyavEncoder | None = None
        self._size = (0, 0)
        self._key = True
        self._last = 0

    def encode(self, image: Image, captured: float) -> list["av.Packet[av.stream.Stream]"]:
        """``image`` is RGB uint8 [height, width, 3], ``captured`` in milliseconds since 1970."""
        with self._lock:
            image = even(image)
            height, width = image.shape[:2]
            if self._encoder is None or (width, height) != self._size:
                shape = written_shape(StreamInfo("drawing", width, height), image)
                self._encoder = PyavEncoder(VideoTrack(shape, Fraction(_FRAME_RATE)), bit_rate(width, height))
                self._size, self._key = (width, height), True
            self._last = max(self._last + 1, round(captured * CLOCK_RATE / 1000))
            units = self._encoder.encode(image, self._last, key=self._key)
            self._key = False
            return [_packet(unit, self._last) for unit in units]

    def restart(self) -> None:
        """Make the next frame a key frame."""
        with self._lock:
            self._key = True

    def close(self) -> None:
        """Free the encoder and its threads, whoever keeps this object; a frame that comes later begins anew."""
        with self._lock:
            self._encoder = None


def _packet(unit: bytes, time: int) -> "av.Packet[av.stream.Stream]":
    packet = av.Packet(unit)
    packet.pts, packet.time_base = time, Fraction(1, CLOCK_RATE)
    return packet
