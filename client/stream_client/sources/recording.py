"""Reads an open container from its start to its end: every frame, on one time line, and the sound beside them."""

import logging
from collections import deque
from collections.abc import Generator
from fractions import Fraction
from typing import cast

import av
import av.error
from av.format import Flags

from stream_client.errors import SourceCodecError
from stream_client.sound.track import SoundTrack
from stream_client.sources.damage import Damage
from stream_client.sources.feed import FeedFrame
from stream_client.sources.passing import AnnexB, Passing, held_by
from stream_client.sources.pixel_bound import too_large
from stream_client.sources.timeline import Continuity, MediaTimes, ShownStamps
from stream_client.util.container import frame_rate_of, has_flag, is_of

logger = logging.getLogger(__name__)

_NOMINAL_RATE = Fraction(30)
# Audio may go on for longer than the video.
_MISSING_SECONDS, _MISSING_SHARE = 0.5, 0.05


def rounded(stamp: int, unit: int, scale: int) -> int:
    """``stamp`` in µs, rounded half up; its tick is unit/scale µs."""
    return (2 * stamp * unit + scale) // (2 * scale)


class Recording:
    """Decodes a video stream of ``container``, which stays the caller's.

    Frames whose timestamps are missing, begin anew or jump are put on one time line from 0, see :mod:`.timeline`; the
    first audio stream is on the same. Times begin at ``start``, in microseconds. ``zero`` is the container's timestamp
    there, where it is not that of the first frame. ``name`` is for messages.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        name: str,
        *,
        start: int = 0,
        zero: int | None = None,
        sound: SoundTrack | None = None,
    ) -> None:
        self._container = container
        self._stream = stream
        self._name = name
        self._start = start
        self._sound = sound
        self._waiting_sound: deque[av.Packet[av.AudioStream]] = deque(maxlen=10_000)
        self._continuity = Continuity(jumps=has_flag(container.format, Flags.ts_discont))
        self.period = round(1_000_000 / (frame_rate_of(self._stream) or _NOMINAL_RATE))
        """The usual time between two frames in µs."""
        self._times = MediaTimes(self.period, zero)
        # AVI has no times of frames, and FFmpeg cannot tell those of B-frames.
        self._stamps = ShownStamps(guessed=container.format.name == "avi")
        bases = {stream.index: stream.time_base or Fraction(1) for stream in container.streams}
        # A tick is unit/scale µs; whole numbers, since fractions take as long as decoding a small frame.
        self._ticks = {index: (1_000_000 * base.numerator, base.denominator) for index, base in bases.items()}
        self._count = 0
        self.end = start
        """Where the next frame is expected, in µs."""

    def frames(self) -> Generator[FeedFrame, None, None]:
        """Every frame that can be decoded, also after damage. Raises where none can, and FFmpeg's error of a read."""
        damaged = 0
        problem = ""
        damage = Damage()
        for packet in self.packets():
            if packet.is_corrupt and packet.pts is not None:
                damage.packet(packet.pts)
            if packet.is_keyframe and packet.is_discard:
                damage.hidden_key()
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                damaged += 1
                problem = too_large(self._stream.codec_context) or str(error.strerror)
                damage.lost()
                continue
            for frame in frames:
                yield self._placed(frame, damaged=damage.shows(frame))
        if damaged and self.end == self._start:
            raise SourceCodecError(f"{self._name} cannot be decoded: {problem}", option="source")
        if damaged:
            logger.warning("%s: %d packets cannot be decoded (%s): frames are missing", self._name, damaged, problem)
        self._check_end()

    def passed(self) -> Generator[FeedFrame, None, None]:
        """Every frame, not decoded."""
        passing, unit_of = Passing(held_by(self._stream)), AnnexB(self._stream)
        for packet in self.packets():
            for frame in passing.take_packet(packet, unit_of):
                assert passing.picture is not None
                time = self._place(frame.stamp)
                yield FeedFrame(passing.picture, time, damaged=frame.damaged, encoded=frame.encoded)
        self._check_end()

    def packets(self) -> "Generator[av.Packet[av.VideoStream], None, None]":
        """The video's packets, shifted to the time line. Those of the sound are handed on."""
        streams: list[av.VideoStream | av.AudioStream] = [self._stream]
        if self._sound is not None:
            streams.append(self._container.streams.audio[0])
        for packet in self._demuxed(streams):
            self._shift(packet)
            if is_of(packet, self._stream):
                self._count += bool(packet.size)
                yield cast("av.Packet[av.VideoStream]", packet)
            elif packet.size:
                self._waiting_sound.append(cast("av.Packet[av.AudioStream]", packet))
                self._hand_on_sound()

    def _demuxed(
        self, streams: "list[av.VideoStream | av.AudioStream]"
    ) -> "Generator[av.Packet[av.stream.Stream], None, None]":
        """The packets. Raises FFmpeg's error of a read, unless the video is whole: a server may not say its length."""
        try:
            yield from self._container.demux(streams)
        except (OSError, av.error.FFmpegError):
            if not 0 < self._stream.frames <= self._count:
                raise
            last: av.Packet[av.stream.Stream] = av.Packet()
            last.stream = self._stream
            yield last  # the decoder gives what it holds

    def _shift(self, packet: "av.Packet[av.stream.Stream]") -> None:
        dts, index = packet.dts, packet.stream_index
        if dts is None:
            return
        unit, scale = self._ticks[index]
        shift = self._continuity.shift(
            index,
            dts * unit // scale,
            (packet.duration or 0) * unit // scale,
            video=index == self._stream.index,
        )
        if shift:
            ticks = round(shift * scale / unit)
            packet.dts = dts + ticks
            if packet.pts is not None:
                packet.pts += ticks

    def _placed(self, frame: av.VideoFrame, *, damaged: bool) -> FeedFrame:
        return FeedFrame(frame, self._place(self._stamps.choose(frame.pts, frame.dts)), damaged=damaged)

    def _place(self, stamp: int | None) -> int:
        """The time of the next frame in µs; ``stamp`` is in the stream's ticks."""
        unit, scale = self._ticks[self._stream.index]
        time = self._start + self._times.place(None if stamp is None else rounded(stamp, unit, scale))
        self.end = time + self.period
        self._hand_on_sound()
        return time

    def _hand_on_sound(self) -> None:
        """Sound has no time before the first frame has one."""
        zero = self._times.zero
        if self._sound is None or zero is None:
            return
        while self._waiting_sound:
            packet = self._waiting_sound.popleft()
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None and packet.time_base is not None:
                self._sound.put(packet, float(stamp * packet.time_base) + (self._start - zero) / 1_000_000)

    def _check_end(self) -> None:
        """Some damage looks like the end of the file. The header knows the true length."""
        declared, time_base = self._stream.duration, self._stream.time_base
        seconds = float(declared * time_base) if declared and time_base else (self._container.duration or 0) / 1_000_000
        read = (self.end - self._start) / 1_000_000
        if "matroska" in self._container.format.name and self._times.zero is not None:
            read += self._times.zero / 1_000_000  # its length counts from 0, wherever the first frame is
        if seconds - read > max(_MISSING_SECONDS, _MISSING_SHARE * seconds):
            logger.warning("%s ended after %.1f s of the %.1f s that its header says", self._name, read, seconds)
