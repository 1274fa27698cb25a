"""FFmpeg's muxers for frames that are encoded already."""

import contextlib
import io
from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

import av
import av.error

from stream_client.errors import OutputRefusedError
from stream_client.publishing.wire import PublishedFrame
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.sound.packets import SoundPacket
from stream_client.sound.track import SoundFormat


class Writable(Protocol):
    """Where muxed bytes go."""

    def write(self, data: bytes) -> int:
        """Take bytes; their number."""


class Muxer:
    """Puts frames into ``container``, which goes to a path or an object. ``first`` has the parameter sets.

    ``sound`` comes beside them. A frame waits for it as the option ``max_interleave_delta`` says. Times begin at zero.
    For one thread. Raises :class:`.OutputRefusedError`.
    """

    def __init__(
        self,
        target: str | Writable,
        container: str,
        first: PublishedFrame,
        options: Mapping[str, str] | None = None,
        sound: SoundFormat | None = None,
    ) -> None:
        try:
            self._output = av.open(target, "w", format=container, options=dict(options or {}))
            with av.open(io.BytesIO(first.data), format="h264") as described:
                self._stream = self._output.add_stream_from_template(described.streams.video[0])
            self._sound = None if sound is None else self._output.add_stream_from_template(sound.template)
        except (OSError, av.error.FFmpegError) as error:
            raise OutputRefusedError(f"cannot be written: {error.strerror}") from error
        self._start: int | None = None
        self._last_sound = -1

    def mux(self, frame: PublishedFrame) -> int:
        """Write a frame; the bytes of it."""
        if self._start is None:
            self._start = frame.time
        packet = av.Packet(frame.data)
        packet.stream = self._stream
        packet.time_base = Fraction(1, CLOCK_RATE)
        packet.pts = packet.dts = frame.time - self._start
        packet.is_keyframe = frame.key
        self._mux(packet)
        return len(frame.data)

    def mux_sound(self, sound: SoundPacket) -> int:
        """Write sound, unless what is later was written; the bytes of it."""
        assert self._start is not None
        ticks = round(sound.time * CLOCK_RATE) - self._start
        if ticks <= self._last_sound:
            return 0
        self._last_sound = ticks
        packet = av.Packet(sound.data)
        packet.stream = self._sound  # type: ignore[assignment]
        packet.time_base = Fraction(1, CLOCK_RATE)
        packet.pts = packet.dts = ticks
        packet.duration = round(sound.duration * CLOCK_RATE)
        packet.is_keyframe = True
        self._mux(packet)
        return len(sound.data)

    def close(self) -> None:
        """Finish the container, where that is still possible."""
        with contextlib.suppress(OSError, av.error.FFmpegError):
            self._output.close()

    def _mux(self, packet: "av.Packet[av.stream.Stream]") -> None:
        try:
            self._output.mux(packet)
        except (OSError, av.error.FFmpegError) as error:
            raise OutputRefusedError(f"cannot be written: {error.strerror}") from error
