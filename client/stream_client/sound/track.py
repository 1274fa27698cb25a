"""A source's sound on its way to the outputs: from the same connection as the frames, and never in their way."""

import io
import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import cast

import av
import av.error

logger = logging.getLogger(__name__)


_MOST_EARLY = 5000
"""Packets that are kept until a run begins, of a live source: a minute and more."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How sound is encoded. ``codec`` is FFmpeg's name, ``rate`` in samples a second.

    ``parameters`` are what a decoder has to know, as AAC's AudioSpecificConfig. ``template`` says the same to FFmpeg.
    """

    codec: str
    rate: int
    channels: int
    parameters: bytes
    template: av.AudioStream = field(compare=False, repr=False)


def format_of(stream: av.AudioStream) -> SoundFormat:
    """The format of a container's stream. Its ``template`` stays when that container is closed."""
    keeper = av.open(io.BytesIO(), "w", format="nut")
    context = stream.codec_context
    return SoundFormat(
        context.codec.canonical_name,
        context.sample_rate,
        context.layout.nb_channels,
        bytes(context.extradata or b""),
        keeper.add_stream_from_template(stream),
    )


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound at ``time``, in seconds of the source as :class:`~stream_client.frames.Result` has it.

    It is encoded (``packet``, which belongs to the listener) or decoded (``samples``, which nobody may change).
    """

    time: float
    packet: "av.Packet[av.AudioStream] | None" = None
    samples: av.AudioFrame | None = None


class SoundListener:
    """The sound that one output has not taken yet. The oldest is dropped beyond ``LIMIT`` bytes."""

    LIMIT = 64 * 1024 * 1024

    def __init__(self, *, decoded: bool) -> None:
        self.decoded = decoded
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Sound, int]] = deque()
        self._bytes = 0
        self._dropped = False

    def put(self, sound: Sound, size: int) -> None:
        """Add a piece of ``size`` bytes; called by the source's thread."""
        with self._lock:
            self._waiting.append((sound, size))
            self._bytes += size
            while self._bytes > self.LIMIT:
                self._bytes -= self._waiting.popleft()[1]
                if not self._dropped:
                    self._dropped = True
                    logger.warning("sound is dropped: no frame was written for too long")

    def take(self, before: float) -> list[Sound]:
        """Remove and return what there is before that time, in its order. Never waits."""
        taken = []
        with self._lock:
            while self._waiting and self._waiting[0][0].time < before:
                sound, size = self._waiting.popleft()
                self._bytes -= size
                taken.append(sound)
        return taken


class _Outputs:
    """Who listens to a track, and to those that follow it after a loss."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[SoundListener] = []

    def add(self, listener: SoundListener) -> None:
        with self._lock:
            self._listeners.append(listener)

    def remove(self, listener: SoundListener) -> None:
        with self._lock:
            self._listeners.remove(listener)

    def current(self) -> list[SoundListener]:
        with self._lock:
            return list(self._listeners)


class SoundTrack:
    """The first audio stream of a source. The source's thread puts packets in, and outputs listen.

    ``steady``: codec, rate and channels cannot change within the stream. Where they may, as in a transport stream,
    an output should take decoded sound. ``decoder`` is for packets that are not of ``stream``. Outputs that listen
    before the first frame is read get all of it: what came before :meth:`begin` is kept for them.
    """

    def __init__(self, stream: av.AudioStream, *, steady: bool, decoder: av.AudioCodecContext | None = None) -> None:
        self.format = format_of(stream)
        self.steady = steady
        self._lock = threading.Lock()
        self._outputs = _Outputs()
        self._copied = self.format  # what those get that copy packets, also in later tracks
        self._early: deque[tuple[av.Packet[av.AudioStream], float]] | None = deque(maxlen=_MOST_EARLY)
        self._offset = 0.0
        self._decoder = decoder

    def listen(self, *, decoded: bool) -> SoundListener:
        """A listener for packets, or for decoded sound."""
        listener = SoundListener(decoded=decoded)
        self._outputs.add(listener)
        return listener

    def forget(self, listener: SoundListener) -> None:
        """Put nothing more into ``listener``."""
        self._outputs.remove(listener)

    def begin(self) -> None:
        """All outputs listen: hand them what came until now."""
        with self._lock:
            early, self._early = self._early, None
            for packet, time in early or ():
                self._hand_on(packet, time)

    def succeed(self, lost: "SoundTrack", offset: float) -> None:
        """Take over the outputs of a track that was lost; ``offset`` is this track's time 0 in seconds of that one.

        Outputs that copy packets get none in another codec or with other parameters.
        """
        with self._lock:
            self._outputs, self._copied = lost._outputs, lost._copied
            self._offset = lost._offset + offset
        if self.format != self._copied and any(not listener.decoded for listener in self._outputs.current()):
            logger.warning("the sound has changed: outputs that take it unchanged go on without it")

    def put(self, packet: "av.Packet[av.AudioStream]", time: float) -> None:
        """Hand on a packet, which begins at ``time``. The caller must not use it afterwards."""
        with self._lock:
            if self._early is not None:
                self._early.append((packet, time))
            else:
                self._hand_on(packet, time)

    def _hand_on(self, packet: "av.Packet[av.AudioStream]", time: float) -> None:
        time += self._offset
        listeners = self._outputs.current()
        for listener in listeners if self.format == self._copied else ():
            if not listener.decoded:
                listener.put(Sound(time, packet=_copy(packet)), packet.size)
        decoders = [listener for listener in listeners if listener.decoded]
        if not decoders:
            return
        try:
            frames = packet.decode() if self._decoder is None else self._decoder.decode(packet)
        except av.error.FFmpegError:
            return  # damaged, or in a codec that this stream did not begin with
        at, begin = time, _seconds(packet)
        for frame in frames:
            own = _seconds(frame)
            if own is not None and begin is not None:
                at = time + own - begin
            for listener in decoders:
                listener.put(Sound(at, samples=frame), _size(frame))
            at += frame.samples / frame.sample_rate


def _seconds(timed: "av.Packet[av.AudioStream] | av.AudioFrame") -> float | None:
    return None if timed.pts is None or timed.time_base is None else float(timed.pts * timed.time_base)


def _copy(packet: "av.Packet[av.AudioStream]") -> "av.Packet[av.AudioStream]":
    copy = cast("av.Packet[av.AudioStream]", av.Packet(bytes(packet)))
    copy.time_base, copy.duration, copy.is_keyframe = packet.time_base, packet.duration, packet.is_keyframe
    return copy


def _size(frame: av.AudioFrame) -> int:
    return frame.samples * frame.format.bytes * frame.layout.nb_channels
