"""Encoders of live H.264: frames in, access units out, without delay."""

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import av
from av.video.frame import PictureType

from stream_client.frames import Image
from stream_client.publishing.options import DEFAULTS
from stream_client.publishing.wire import DEFAULT_RATE, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.util.media import YuvFrames, declare


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


EncoderFactory = Callable[[VideoTrack, int | None], Encoder]
"""Makes an encoder for a track, with a limit in bits a second, or without one."""

BUFFER_SECONDS = 0.3
"""Of a limited encoder (x264's VBV): a key frame takes no longer than this on a line of its rate.

At 150 kbit/s, testsrc in 1280x720 is off by 5.5 of 255 levels with 0.3, by 13 with 0.1, and by 1.3 where key frames
come every 2 s.
"""


class PyavEncoder:
    """FFmpeg's encoder ``codec`` within the process. ``quality`` is x264's constant rate factor, 0…51.

    ``limit``: bits a second that it does not exceed; the quality falls instead.
    """

    def __init__(
        self,
        track: VideoTrack,
        limit: int | None = None,
        *,
        codec: str = "libx264",
        quality: int = DEFAULTS.quality,
    ) -> None:
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        self._matrix = track.shape.color.matrix
        declare(context, track.shape)
        context.time_base = Fraction(1, CLOCK_RATE)
        context.framerate = track.frame_rate or DEFAULT_RATE
        context.gop_size = 600  # key frames are asked for
        context.max_b_frames = 0
        options = {"forced-idr": "1"}
        if codec == "libx264":
            options |= {"preset": "veryfast", "tune": "zerolatency", "crf": str(quality)}
        if limit is not None:
            options |= {"maxrate": str(limit), "bufsize": str(round(limit * BUFFER_SECONDS))}
            if codec != "libx264":
                context.bit_rate = limit
        context.options = options
        self._context = context
        self._frame = YuvFrames()

    def encode(self, image: Image, presentation: int, *, key: bool = False) -> list[bytes]:
        """Encode at once: nothing is held back."""
        frame = self._frame(image, self._matrix)
        frame.pts, frame.time_base = presentation, self._context.time_base
        if key:
            frame.pict_type = PictureType.I
        return [bytes(packet) for packet in self._context.encode(frame)]

    def abort(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to release but memory."""
