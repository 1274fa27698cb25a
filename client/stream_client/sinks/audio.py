"""The sound of a source, carried into a file: copied where the container allows, else as AAC, or Opus in WebM."""

import logging
from fractions import Fraction

import av

from stream_client.sound.packets import SoundFeed, SoundPacket, SoundPackets
from stream_client.sound.rule import SoundRule

logger = logging.getLogger(__name__)

RULES = {
    ".mp4": SoundRule(frozenset({"aac", "mp3", "ac3", "eac3", "alac"}), "aac"),
    ".m4v": SoundRule(frozenset({"aac", "mp3", "ac3", "eac3", "alac"}), "aac"),
    ".mov": SoundRule(frozenset({"aac", "mp3", "ac3", "alac", "pcm_s16le"}), "aac"),
    ".ts": SoundRule(frozenset({"aac", "mp3", "ac3", "eac3"}), "aac"),
    ".webm": SoundRule(frozenset({"opus", "vorbis"}), "libopus"),
    ".mkv": SoundRule(frozenset({"aac", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "pcm_s16le"}), "aac"),
}
"""By a file's extension."""


class AudioWriter:
    """Muxes the sound of ``feed`` into a file, up to the video's time.

    Sound that cannot be written is left out, so that the video always goes on. The file's time begins at ``zero``,
    in seconds of the source. :meth:`start` adds the stream to the output.
    """

    def __init__(self, feed: SoundFeed, zero: float = 0.0) -> None:
        self._feed = feed
        self._zero = zero
        self._packets: SoundPackets | None = None
        self._output: av.container.OutputContainer | None = None
        self._stream: av.AudioStream | None = None
        self._last: int | None = None
        self._said = False

    def start(self, output: av.container.OutputContainer) -> None:
        """Add the audio stream to ``output``."""
        self._output = output
        self._packets = SoundPackets(self._feed, self._zero)
        self._stream = output.add_stream_from_template(self._packets.format.template)

    def advance(self, seconds: float) -> None:
        """Mux all sound before ``seconds`` of the file."""
        assert self._packets is not None
        self._mux(self._packets.take(self._zero + seconds))

    def close(self) -> None:
        """Flush the encoder, where there is one."""
        if self._packets is not None:
            self._mux(self._packets.end())

    def _mux(self, packets: list[SoundPacket]) -> None:
        assert self._output is not None
        for packet in packets:
            try:
                self._output.mux(self._placed(packet))
            except ValueError as error:  # FFmpeg's "invalid argument" and "invalid data" are such as well
                if not self._said:
                    self._said = True
                    logger.warning("sound at %.1f s cannot be written and is left out: %s", packet.time, error)

    def _placed(self, sound: SoundPacket) -> "list[av.Packet[av.stream.Stream]]":
        """The packet, unless it is before the first frame, or there already.

        AAC's first one begins before zero. MP4 would shift the video to make room for it.
        """
        assert self._packets is not None
        rate = self._packets.format.rate
        stamp = round((sound.time - self._zero) * rate)
        if stamp < 0 or (self._last is not None and stamp <= self._last):
            return []
        self._last = stamp
        packet = av.Packet(sound.data)
        packet.time_base = Fraction(1, rate)
        packet.pts = packet.dts = stamp
        packet.duration = round(sound.duration * rate)
        packet.is_keyframe = True
        packet.stream = self._stream  # type: ignore[assignment]
        return [packet]
