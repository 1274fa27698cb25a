"""The audio of a source file, carried into the output: copied where the container allows, else as AAC."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import av
import av.error
from av.codec import Codec

if TYPE_CHECKING:
    Timed = tuple[float, list[av.Packet]]  # type: ignore[type-arg,unused-ignore]

_COPYABLE = {
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".m4v": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".mov": {"aac", "mp3", "ac3", "alac", "pcm_s16le"},
    ".mkv": {"aac", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "pcm_s16le"},
}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's default layouts by number of channels. PCM seldom names its channels, and AAC needs the names."""
_RATE = 48_000
"""Samples a second where AAC does not take the source's rate."""


def audio_track(path: str, output: av.container.OutputContainer, suffix: str) -> "AudioTrack | None":
    """The first audio stream of ``path``, for an output with that extension. ``None`` where no audio can be decoded."""
    source = av.open(f"file:{path}")
    if source.streams.audio and source.streams.audio[0].codec_context is not None:
        return AudioTrack(source, output, suffix)
    source.close()
    return None


class AudioTrack:
    """Reads the first audio stream of ``source`` beside the video, and muxes it up to the video's time."""

    def __init__(self, source: av.container.InputContainer, output: av.container.OutputContainer, suffix: str) -> None:
        self._input = source
        self._output = output
        self._source = source.streams.audio[0]
        video = source.streams.video[0]
        self._zero = float(video.start_time * video.time_base) if video.start_time and video.time_base else 0.0
        decoder = self._source.codec_context
        # The decoder may have another name than the codec: "mp3float" decodes "mp3".
        self._copy = decoder.codec.canonical_name in _COPYABLE[suffix]
        if self._copy:
            self._stream: av.AudioStream = output.add_stream_from_template(self._source)
        else:
            rates = Codec("aac", "w").audio_rates or []
            self._stream = output.add_stream(
                "aac",
                rate=decoder.sample_rate if decoder.sample_rate in rates else _RATE,
                layout=_LAYOUTS.get(decoder.layout.nb_channels, "stereo"),
            )
        self._packets = self._timed()
        self._waiting: Timed | None = None

    def advance(self, seconds: float) -> None:
        """Mux all audio before ``seconds`` of the video."""
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            if self._waiting is None or self._waiting[0] > seconds:
                return
            self._output.mux(self._waiting[1])
            self._waiting = None

    def close(self) -> None:
        """Flush the encoder, where there is one, and close the file."""
        if not self._copy:
            self._output.mux(self._stream.encode(None))
        self._input.close()

    def _timed(self) -> "Iterator[Timed]":
        for packet in self._input.demux(self._source):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            seconds = float(packet.pts * packet.time_base) - self._zero
            if seconds < 0:
                continue
            if self._copy:
                shift = round(self._zero / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = self._stream
                yield seconds, [packet]
            else:
                yield seconds, self._encoded(packet)

    def _encoded(self, packet: "av.Packet[av.AudioStream]") -> "list[av.Packet[av.AudioStream]]":
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return []  # damaged: silence
        encoded = []
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._zero / frame.time_base)
            encoded += self._stream.encode(frame)
        # AAC's first packet begins before zero. MP4 would shift the video to make room for it.
        return [done for done in encoded if done.pts is None or done.pts >= 0]
