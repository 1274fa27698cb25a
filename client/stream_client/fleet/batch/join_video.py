"""The labeled videos of a video's parts as one, without encoding them anew, and with the sound of the source."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av

from stream_client.errors import SinkError
from stream_client.sinks.audio import RULES, AudioWriter
from stream_client.sinks.output_file import sink_errors
from stream_client.sound.packets import SoundFeed
from stream_client.sources.pixel_bound import DECODER_OPTIONS
from stream_client.sources.recording import Recording
from stream_client.util.container import frame_rate_of, sound_of, video_of

_AHEAD = 1.0
"""Seconds by which the sound is read ahead: containers interleave it loosely."""
_NOMINAL_RATE = 30


def join_video(pieces: Sequence[Path], begins: Sequence[int], target: Path, source: Path, zero: int) -> None:
    """Write ``target``. Piece n begins at ``begins[n]``, in µs; ``zero`` is that of ``source``, see :class:`.Span`.

    Raises :class:`.SinkError` where the pieces differ in size, or cannot be read.
    """
    with ExitStack() as stack, sink_errors(f"cannot join the parts of {target.stem}", "split"):
        output = stack.enter_context(av.open(f"file:{target}", "w", format="mp4"))
        with av.open(f"file:{pieces[0]}") as first:
            video = output.add_stream_from_template(first.streams.video[0])
            kind = _kind(first.streams.video[0])
            frame_seconds = 1 / float(frame_rate_of(first.streams.video[0]) or _NOMINAL_RATE)
        sound = stack.enter_context(_Sound(source, zero, output))
        seconds = 0.0
        for piece, begin in zip(pieces, begins, strict=True):
            with av.open(f"file:{piece}") as container:
                stream = container.streams.video[0]
                if _kind(stream) != kind:
                    raise SinkError("parts have frames of other sizes: they do not make one video", option="split")
                base = stream.time_base or Fraction(1)
                shift = round(Fraction(begin, 1_000_000) / base)
                for packet in container.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = video
                    seconds = float(packet.pts * base)
                    sound.advance(seconds)
                    output.mux(packet)
        sound.advance(seconds + frame_seconds)
        sound.finish()


def _kind(stream: av.VideoStream) -> tuple[int, int, bytes]:
    """What has to be the same for packets of one stream."""
    return stream.width, stream.height, bytes(stream.codec_context.extradata or b"")


class _Sound:
    """The sound of ``source`` on its way into ``output``. A context manager."""

    def __init__(self, source: Path, zero: int, output: av.container.OutputContainer) -> None:
        self._container = av.open(f"file:{source}", options=DECODER_OPTIONS)
        track, stream = sound_of(self._container), video_of(self._container)
        self._writer: AudioWriter | None = None
        if track is not None and stream is not None:
            recording = Recording(self._container, stream, source.name, zero=zero, sound=track)
            self._packets: Iterator[av.Packet[av.VideoStream]] = recording.packets()
            self._writer = AudioWriter(SoundFeed(track, RULES[".mp4"]))
            self._writer.start(output)
            track.begin()
        self._zero = zero / 1e6
        self._read = 0.0

    def __enter__(self) -> "_Sound":
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()

    def advance(self, seconds: float) -> None:
        """Write all sound before that time."""
        if self._writer is None:
            return
        while self._read < seconds + _AHEAD and (packet := next(self._packets, None)) is not None:
            if packet.dts is not None and packet.time_base is not None:
                self._read = float(packet.dts * packet.time_base) - self._zero
        self._writer.advance(seconds)

    def finish(self) -> None:
        """Write what the encoder still has."""
        if self._writer is not None:
            self._writer.close()
