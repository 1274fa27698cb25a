"""Encoders of live H.264: frames in, access units out, without delay."""

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import av
from av.video.frame import PictureType

from stream_client.frames import Colour, Image
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.sinks.options import DEFAULTS
from stream_client.util.colour import written_colour
from stream_client.util.media import ImageShape, YuvFrames, declare


class Encoder(Protocol):
    """Encodes frames of one size. One thread at a time uses it. Only :meth:`abort` is for other threads."""

    def encode(self, image: Image, presentation: int, *, key: bool = False) -> list[bytes]:
        """Access units in Annex B form, in order: this frame's, rarely an earlier one's or none.

        ``presentation`` is in ticks of 90 kHz. ``key`` asks for a key frame; an encoder that cannot choose gives one
        each second. Raises :class:`~stream_client.errors.SinkError`.
        """

    def abort(self) -> None:
        """Make a waiting :meth:`encode` fail now; called from another thread."""

    def close(self) -> None:
        """Release everything."""


EncoderFactory = Callable[[int, int, Fraction | None], Encoder]
"""Makes an encoder for frames of a width and height in pixels, at a nominal rate."""


class PyavEncoder:
    """FFmpeg's encoder ``codec`` within the process. ``quality`` is x264's constant rate factor, 0…51."""

    def __init__(
        self,
        width: int,
        height: int,
        frame_rate: Fraction | None = None,
        *,
        codec: str = "libx264",
        quality: int = DEFAULTS.quality,
    ) -> None:
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        self._shape = ImageShape(width, height, Fraction(1), written_colour(Colour(), width, height))
        declare(context, self._shape)
        context.time_base = Fraction(1, CLOCK_RATE)
        context.framerate = frame_rate or Fraction(30)
        context.gop_size = 600  # key frames are asked for
        context.max_b_frames = 0
        if codec == "libx264":
            context.options = {
                "preset": "veryfast",
                "tune": "zerolatency",
                "crf": str(quality),
                "forced-idr": "1",
            }
        self._context = context
        self._frame = YuvFrames()

    def encode(self, image: Image, presentation: int, *, key: bool = False) -> list[bytes]:
        """Encode at once: nothing is held back."""
        frame = self._frame(image, self._shape.colour.matrix)
        frame.pts, frame.time_base = presentation, self._context.time_base
        if key:
            frame.pict_type = PictureType.I
        return [bytes(packet) for packet in self._context.encode(frame)]

    def abort(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to release but memory."""
