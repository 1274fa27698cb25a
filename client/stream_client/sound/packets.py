"""The sound of a source as packets that an output takes."""

import io
import logging
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec import Codec

from stream_client.sound.rule import SoundRule
from stream_client.sound.samples import SampleLine
from stream_client.sound.track import Sound, SoundFormat, SoundTrack, format_of

logger = logging.getLogger(__name__)

_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's default layouts by number of channels. PCM seldom names its channels, and AAC needs the names."""
_RATE = 48_000
"""Samples a second where the encoder does not take the source's rate."""


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """Encoded sound. ``time`` and ``duration`` are in seconds of the source; the latter is 0 where it is unknown."""

    data: bytes
    time: float
    duration: float


class SoundFeed:
    """The sound of ``track`` by an output's ``rule``: packets or decoded sound. It listens once it is made."""

    def __init__(self, track: SoundTrack, rule: SoundRule) -> None:
        self.track, self.rule = track, rule
        self.copied = rule.carries(track)
        """Whether packets are copied; otherwise the sound is encoded anew."""
        self._listener = track.listen(decoded=not self.copied)

    def take(self, before: float) -> list[Sound]:
        """What there is before that time, at most once."""
        return self._listener.take(before)

    def close(self) -> None:
        """Listen no longer."""
        self.track.forget(self._listener)


class SoundPackets:
    """The packets of ``feed`` from ``start`` on, in seconds of the source. For one thread.

    Sound that cannot be encoded is left out, so that the video always goes on.
    """

    def __init__(self, feed: SoundFeed, start: float) -> None:
        self._feed = feed
        self._encoder = None if feed.copied else _Encoder(feed.track.format, feed.rule, start)
        self.format: SoundFormat = feed.track.format if self._encoder is None else self._encoder.format
        self._said = False

    def take(self, before: float) -> list[SoundPacket]:
        """What there is before that time; the encoder may hold back the last of it."""
        return [packet for sound in self._feed.take(before) for packet in self._packets(sound)]

    def end(self) -> list[SoundPacket]:
        """What the encoder has held back."""
        return [] if self._encoder is None else self._encoder.end()

    def _packets(self, sound: Sound) -> list[SoundPacket]:
        if self._encoder is None:
            return [_copied(sound)]
        try:
            return self._encoder.encode(sound)
        except ValueError as error:  # FFmpeg's "invalid argument" and "invalid data" are such as well
            if not self._said:
                self._said = True
                logger.warning("sound at %.1f s cannot be encoded and is left out: %s", sound.time, error)
            return []


class _Encoder:
    def __init__(self, source: SoundFormat, rule: SoundRule, start: float) -> None:
        rates = Codec(rule.encoder, "w").audio_rates or []
        rate = source.rate if source.rate in rates else _RATE
        layout = _LAYOUTS.get(min(source.channels, rule.channels), "stereo")
        # A stream of a container knows its codec's parameters before its first packet.
        container = av.open(io.BytesIO(), "w", format="nut")
        stream = container.add_stream(rule.encoder, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        container.start_encoding()
        self._stream = stream
        self._samples = SampleLine(rate, layout, start=start, silence=rule.silence)
        self.format = format_of(stream)

    def encode(self, sound: Sound) -> list[SoundPacket]:
        assert sound.samples is not None
        frames = self._samples.place(sound.time, sound.samples)
        return [self._packet(packet) for frame in frames for packet in self._stream.encode(frame)]

    def end(self) -> list[SoundPacket]:
        return [self._packet(packet) for packet in self._stream.encode(None)]

    def _packet(self, packet: "av.Packet[av.AudioStream]") -> SoundPacket:
        base = packet.time_base or Fraction(1, self.format.rate)
        return SoundPacket(bytes(packet), float((packet.pts or 0) * base), float((packet.duration or 0) * base))


def _copied(sound: Sound) -> SoundPacket:
    packet = sound.packet
    assert packet is not None
    return SoundPacket(bytes(packet), sound.time, float((packet.duration or 0) * (packet.time_base or 0)))
