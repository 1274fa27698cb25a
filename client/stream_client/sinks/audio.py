"""The audio of a source file, carried into the output: copied where the container allows, else as AAC."""

from collections.abc import Iterator
from typing import Protocol

import av
import av.error

_COPYABLE = {
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".mov": {"aac", "mp3", "ac3", "alac", "pcm_s16le"},
    ".mkv": {"aac", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "pcm_s16le"},
}


class _Output(Protocol):
    def mux(self, packets: object) -> None: ...


class AudioTrack:
    """Reads the first audio stream of ``path`` beside the video; muxed up to the video's time as it grows.

    ``None``-like when the file has no audio: :attr:`present` is false then.
    """

    def __init__(self, path: str, output: av.container.OutputContainer, suffix: str) -> None:
        self._output = output
        self._input = av.open(path)
        streams = self._input.streams
        self.present = bool(streams.audio)
        if not self.present:
            return
        source = streams.audio[0]
        video = streams.video[0] if streams.video else None
        start = video.start_time if video is not None and video.start_time is not None else 0
        self._zero = float(start * video.time_base) if video is not None and video.time_base else 0.0
        self._copy = source.codec_context.name in _COPYABLE.get(suffix, set())
        if self._copy:
            self._stream: av.AudioStream = output.add_stream_from_template(source)
        else:
            self._stream = output.add_stream("aac", rate=source.rate)
            self._stream.codec_context.layout = source.layout
        self._source = source
        self._packets = self._timed()
        self._waiting: tuple[float, list[av.Packet]] | None = None  # type: ignore[type-arg,unused-ignore]

    def advance(self, seconds: float) -> None:
        """Mux what belongs before ``seconds`` of the video."""
        if not self.present:
            return
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            if self._waiting is None or self._waiting[0] > seconds:
                return
            self._output.mux(self._waiting[1])
            self._waiting = None

    def close(self) -> None:
        """Flush the encoder, where there is one, and close the file."""
        if self.present and not self._copy:
            self._output.mux(self._stream.encode(None))
        self._input.close()

    def _timed(self) -> Iterator[tuple[float, list[av.Packet]]]:  # type: ignore[type-arg,unused-ignore]
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
                for frame in packet.decode():
                    frame.pts = None
                    yield seconds, self._stream.encode(frame)  # type: ignore[arg-type,unused-ignore]
