"""The sound of a source, carried into a file: copied where the container allows, else as AAC, or Opus in WebM."""

import logging
from dataclasses import replace

import av
import numpy as np
import numpy.typing as npt
from av.codec import Codec

from stream_client.sound import Sound, SoundTrack

logger = logging.getLogger(__name__)

_COPYABLE = {
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".m4v": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".mov": {"aac", "mp3", "ac3", "alac", "pcm_s16le"},
    ".ts": {"aac", "mp3", "ac3", "eac3"},
    ".webm": {"opus", "vorbis"},
    ".mkv": {"aac", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "pcm_s16le"},
}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's default layouts by number of channels. PCM seldom names its channels, and AAC needs the names."""
_RATE = 48_000
"""Samples a second where the encoder does not take the source's rate."""
_TOLERANCE = 0.03
"""Seconds that sound may be early or late before it is cut or filled. Recordings' timestamps are not exact."""
_LONGEST_SILENCE = 10.0
"""A longer gap, in seconds, is left as a gap."""


class AudioFeed:
    """The sound of ``track`` for one output with the extension ``suffix``: one file, or several that follow each other.

    It listens from the moment it is made.
    """

    def __init__(self, track: SoundTrack, suffix: str) -> None:
        self.track = track
        self.copied = track.steady and track.codec in _COPYABLE[suffix]
        """Whether packets are copied; otherwise the sound is encoded anew."""
        self._listener = track.listen(decoded=not self.copied)

    def take(self, before: float, zero: float) -> list[Sound]:
        """What there is before that time, at most once. Times count from ``zero``, in seconds of the source."""
        return [replace(sound, time=sound.time - zero) for sound in self._listener.take(before + zero)]


class AudioWriter:
    """Muxes a source's sound into a file with the extension ``suffix``, up to the video's time.

    Sound that cannot be written is left out, so that the video always goes on. The file's time begins at ``zero``,
    in seconds of the source. :meth:`start` adds the stream to the output.
    """

    def __init__(self, feed: AudioFeed, suffix: str, zero: float = 0.0) -> None:
        self._feed = feed
        self._track = feed.track
        self._suffix = suffix
        self._zero = zero
        self._copy = feed.copied
        self._output: av.container.OutputContainer | None = None
        self._stream: av.AudioStream | None = None
        self._samples: SampleLine | None = None
        self._last_dts: int | None = None
        self._said = False

    def start(self, output: av.container.OutputContainer) -> None:
        """Add the audio stream to ``output``."""
        self._output = output
        if self._copy:
            self._stream = output.add_stream_from_template(self._track.template)
            return
        codec = "libopus" if self._suffix == ".webm" else "aac"
        rates = Codec(codec, "w").audio_rates or []
        rate = self._track.rate if self._track.rate in rates else _RATE
        layout = _LAYOUTS.get(self._track.channels, "stereo")
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        self._samples = SampleLine(rate, layout)

    def advance(self, seconds: float) -> None:
        """Mux all sound before ``seconds`` of the file."""
        assert self._output is not None
        for sound in self._feed.take(seconds, self._zero):
            try:
                self._output.mux(self._copied(sound) if self._copy else self._encoded(sound))
            except ValueError as error:  # FFmpeg's "invalid argument" and "invalid data" are such as well
                if not self._said:
                    self._said = True
                    logger.warning("sound at %.1f s cannot be written and is left out: %s", sound.time, error)

    def close(self) -> None:
        """Flush the encoder, where there is one."""
        if self._stream is not None and self._output is not None and not self._copy:
            self._output.mux(self._stream.encode(None))

    def _copied(self, sound: Sound) -> "list[av.Packet[av.AudioStream]]":
        packet = sound.packet
        assert packet is not None
        assert packet.time_base is not None
        dts = round(sound.time / packet.time_base)
        if dts < 0 or (self._last_dts is not None and dts <= self._last_dts):
            return []  # before the first frame, or there already
        self._last_dts = dts
        packet.pts = packet.dts = dts
        packet.stream = self._stream  # type: ignore[assignment]
        return [packet]

    def _encoded(self, sound: Sound) -> "list[av.Packet[av.AudioStream]]":
        assert sound.samples is not None
        assert self._samples is not None
        assert self._stream is not None
        encoded = [packet for frame in self._samples.place(sound.time, sound.samples) for packet in self._encode(frame)]
        # AAC's first packet begins before zero. MP4 would shift the video to make room for it.
        return [done for done in encoded if done.pts is None or done.pts >= 0]

    def _encode(self, frame: av.AudioFrame) -> "list[av.Packet[av.AudioStream]]":
        assert self._stream is not None
        return self._stream.encode(frame)


class SampleLine:
    """Puts decoded sound on one line of samples of ``rate`` and ``layout``, float32.

    Sound that changes its rate or channels is resampled, what overlaps is cut, and a gap is filled with silence.
    """

    def __init__(self, rate: int, layout: str) -> None:
        self._rate = rate
        self._layout = layout
        self._resampler: av.AudioResampler | None = None
        self._properties: tuple[str, str, int] | None = None
        self._position: int | None = None

    def place(self, time: float, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """The frames that continue the line with ``frame``, which begins at ``time``, in seconds."""
        samples = self._resampled(frame)
        if samples.shape[1] == 0:
            return []
        begin = round(time * self._rate)
        if self._position is None:
            self._position = max(0, begin)
        frames = []
        gap = begin - self._position
        if gap < -_TOLERANCE * self._rate or begin < 0:
            samples = samples[:, -gap:]
        elif gap > _LONGEST_SILENCE * self._rate:
            self._position = begin
        elif gap > _TOLERANCE * self._rate:
            frames.append(self._frame(np.zeros((samples.shape[0], gap), np.float32)))
        if samples.shape[1]:
            frames.append(self._frame(samples))
        return frames

    def _resampled(self, frame: av.AudioFrame) -> npt.NDArray[np.float32]:
        """The frame's samples, float32 [channels, samples]."""
        properties = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or properties != self._properties:
            self._resampler = av.AudioResampler("fltp", self._layout, self._rate)
            self._properties = properties
        copy = av.AudioFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name, layout=frame.layout.name)
        copy.sample_rate = frame.sample_rate
        parts = [np.asarray(done.to_ndarray(), np.float32) for done in self._resampler.resample(copy)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)

    def _frame(self, samples: npt.NDArray[np.float32]) -> av.AudioFrame:
        assert self._position is not None
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts = self._position
        self._position += samples.shape[1]
        return frame
