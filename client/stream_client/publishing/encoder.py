"""Encoders of live H.264: frames in, access units out, without delay."""

import math
import os
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import av
from av.video.frame import PictureType

from stream_client.frames import Image, Planes
from stream_client.publishing.options import DEFAULTS
from stream_client.publishing.wire import DEFAULT_RATE, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.util.media import YuvFrames, declare


class Encoder(Protocol):
    """Encodes frames of one size. One thread at a time uses it. Only :meth:`abort` is for other threads."""

    def encode(self, picture: Image | Planes, presentation: int, *, key: bool = False) -> list[bytes]:
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
LEAD_QUALITY = 3
"""What a file that live outputs follow adds to ``quality``, so that it is no worse and little larger than alone.

x264 without a look ahead takes more bits for the same number: at 20 clips of people had 2.5 to 5 dB more in 1.4 to 2.5
times the bytes. With 3 more they have 0.4 to 3 dB more in 0.95 to 1.65 times the bytes.
"""
_QUICK_QUALITY = 1
"""What x264 adds to ``quality`` where it does not spare bits, so that the frames look the same."""
_PIXELS_A_THREAD = 1280 * 720 * 36
"""A second. More threads encode a frame sooner, with a tenth more of CPU."""


def live_x264(quality: int, *, careful: bool) -> dict[str, str]:
    """The options of x264 that hold nothing back; ``quality`` is its constant rate factor, 0…51.

    ``careful``: spare bits, where a line limits them. Else it takes 3 to 11 % more of them for the
    same PSNR (five clips of people), and 0.8 of the CPU. ``veryfast`` would spare 1 % more for 1.3 times the CPU.

    Whatever the quality, the parameter sets are the same: RTMP and clips name them once, and encoders may follow
    each other there.
    """
    factor, motion = (quality, "2") if careful else (min(51, quality + _QUICK_QUALITY), "1")
    options = {"preset": "superfast", "subq": motion, "tune": "zerolatency", "crf": str(factor), "forced-idr": "1"}
    return options | {"x264-params": "stitchable=1"}


def threads_for_live(track: VideoTrack) -> int:
    """Threads that encode frames of a track in time, at least 1."""
    pixels = track.shape.width * track.shape.height * (track.frame_rate or DEFAULT_RATE)
    return min(math.ceil(pixels / _PIXELS_A_THREAD), os.cpu_count() or 1)


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
            options = live_x264(quality, careful=limit is not None)
            context.thread_count = threads_for_live(track)
        if limit is not None:
            options |= {"maxrate": str(limit), "bufsize": str(round(limit * BUFFER_SECONDS))}
            if codec != "libx264":
                context.bit_rate = limit
        context.options = options
        self._context = context
        self._frame = YuvFrames()

    def encode(self, picture: Image | Planes, presentation: int, *, key: bool = False) -> list[bytes]:
        """Encode at once: nothing is held back."""
        frame = self._frame(picture, self._matrix)
        frame.pts, frame.time_base = presentation, self._context.time_base
        if key:
            frame.pict_type = PictureType.I
        return [bytes(packet) for packet in self._context.encode(frame)]

    def abort(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to release but memory."""
