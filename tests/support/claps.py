"""A live show that can be heard: each half second there is a white frame and a short tone, as of a clapperboard."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from stream_client.frames import Frame, Image, Result, StreamInfo
from stream_client.sinks.video_file import FileSink
from stream_client.sound.track import SoundTrack

FRAME_RATE = 30
_PERIOD, _CLAP = 15, 3
"""Frames."""
_CODECS = {"aac": 48_000, "libopus": 48_000, "pcm_alaw": 8_000}
_CHUNK = 0.1


def clap(index: int) -> Image:
    """A frame of the show: white when it claps, else black."""
    return np.full((48, 64, 3), 255 if index % _PERIOD < _CLAP else 0, np.uint8)


class Tones:
    """The sound of the show, which goes into ``track`` as far as it is played. ``codec`` is an encoder of FFmpeg's."""

    def __init__(self, codec: str = "aac") -> None:
        self._rate = _CODECS[codec]
        self._container = av.open(io.BytesIO(), "w", format="nut")
        stream = self._container.add_stream(codec, rate=self._rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        self._container.start_encoding()
        decoder = av.CodecContext.create(stream.codec_context.codec.canonical_name, "r")
        assert isinstance(decoder, av.AudioCodecContext)
        decoder.extradata = stream.codec_context.extradata
        decoder.sample_rate, decoder.layout = self._rate, "mono"
        self.track = SoundTrack(stream, steady=True, decoder=decoder)
        self.track.begin()
        self.silent = False
        """Nothing more comes."""
        self._packets = self._encoded()
        self._next: av.Packet[av.AudioStream] | None = None

    def play(self, until: float) -> None:
        """Put what is before that time, in seconds."""
        while not self.silent:
            packet = self._next or next(self._packets)
            time = float((packet.pts or 0) * (packet.time_base or Fraction(0)))
            if time >= until:
                self._next = packet
                return
            self._next = None
            if time >= 0:
                self.track.put(packet, time)

    def _encoded(self) -> "Iterator[av.Packet[av.AudioStream]]":
        size = round(_CHUNK * self._rate)
        for start in range(0, 3600 * self._rate, size):
            times = np.arange(start, start + size) / self._rate
            sounds = times % (_PERIOD / FRAME_RATE) < _CLAP / FRAME_RATE
            samples = np.where(sounds, 0.5 * np.sin(2 * np.pi * 1000 * times), 0.0).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = self._rate, start
            yield from self._stream.encode(frame)


def clap_video(path: Path, seconds: float) -> Path:
    """Writes the show into a file."""
    tones, sink = Tones(), FileSink(path)
    sink.open(StreamInfo("claps", 64, 48, Fraction(FRAME_RATE), sound=tones.track))
    for index in range(round(seconds * FRAME_RATE)):
        tones.play(index / FRAME_RATE)
        image = clap(index)
        sink.write(Result(Frame(index, index, image, 0.0), image, time=index / FRAME_RATE))
    sink.close()
    return path


def in_step(claps: "Claps", bound: float) -> bool:
    """Whether frames and tones are no more than ``bound`` seconds apart, twice at least."""
    apart = claps.apart()
    return len(apart) >= 2 and max(map(abs, apart)) < bound


class Claps:
    """When a viewer sees and hears the show clap, by both streams' own times, until it has done both ``count`` times.

    It gives up after ``longest`` seconds of the show.
    """

    def __init__(
        self, url: str, count: int = 3, options: dict[str, str] | None = None, *, longest: float = 15.0
    ) -> None:
        self.seen: list[float] = []
        self.heard: list[float] = []
        with av.open(url, options=options or {}, timeout=(20, 20)) as container:
            video, sound = container.streams.video[0], container.streams.audio[0]
            self.codec = sound.codec_context.codec.canonical_name
            start: float | None = None
            bright = loud = True
            for packet in container.demux(video, sound):
                for frame in cast("list[av.VideoFrame | av.AudioFrame]", packet.decode()):
                    if frame.pts is None or frame.time_base is None:
                        continue  # before the server's first report
                    time = float(frame.pts * frame.time_base)
                    start = time if start is None else start
                    if isinstance(frame, av.VideoFrame):
                        bright = self._note(self.seen, bright, bool(frame.to_ndarray(format="gray").mean() > 128), time)
                    else:
                        for offset, level in _levels(frame):
                            loud = self._note(self.heard, loud, level > 0.1, time + offset)
                    if len(self.apart()) >= count or time > start + longest:
                        return

    @staticmethod
    def _note(claps: list[float], before: bool, now: bool, time: float) -> bool:
        if now and not before:
            claps.append(time)
        return now

    def apart(self) -> list[float]:
        """How long after each frame its tone comes, in seconds."""
        last = self.heard[-1] if self.heard else 0.0
        return [min((tone - frame for tone in self.heard), key=abs) for frame in self.seen[1:] if frame <= last]


def _levels(frame: av.AudioFrame) -> Iterator[tuple[float, float]]:
    """The loudest sample of each 5 ms."""
    samples = np.abs(frame.to_ndarray().astype(np.float64))
    full = 1.0 if "flt" in frame.format.name else 32768.0
    flat = samples.reshape(-1, frame.layout.nb_channels).max(1) if not frame.format.is_planar else samples.max(0)
    step = frame.sample_rate // 200
    for start in range(0, len(flat), step):
        yield start / frame.sample_rate, float(flat[start : start + step].max()) / full
