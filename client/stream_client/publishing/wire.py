"""The seam below a publisher: one connection that carries encoded frames."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.util.media import ImageShape


@dataclass(frozen=True, slots=True)
class PublishedFrame:
    """An access unit of H.264 in Annex B form, with its parameter sets where it is a key frame.

    ``time``: presentation time in ticks of 90 kHz. ``captured``: :func:`time.monotonic` of its capture. ``index`` is
    the source frame's, also where it is repeated. ``wall_clock``: seconds since 1970 of its capture, by
    the camera's clock where that is known.
    """

    data: bytes
    time: int
    key: bool
    captured: float
    index: int
    wall_clock: float


DEFAULT_RATE = Fraction(30)
"""Frames a second of a stream that does not say."""


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """What is known about the stream before its first frame. ``frame_rate`` is the source's nominal rate."""

    shape: ImageShape
    frame_rate: Fraction | None = None


class Wire(Protocol):
    """A connection, used once and by one thread. Only :meth:`abort` is for other threads.

    Raises :class:`OSError` for a broken connection, and :class:`~stream_client.errors.RtspError` or
    :class:`~stream_client.errors.SinkError` for a refusal.
    """

    @property
    def sound_rule(self) -> SoundRule | None:
        """Which sound it carries; ``None``: none."""

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Connect and announce the stream in ``within`` seconds; ``first`` has its parameter sets and is not sent."""

    def send(self, frame: PublishedFrame) -> int:
        """Send a frame, the first one being a key frame; the bytes that it took."""

    def send_sound(self, packet: SoundPacket) -> int:
        """Send sound that belongs before the last frame and not before the first one; the bytes that it took."""

    def queued(self) -> int | None:
        """Bytes that were sent and have not reached the other side; ``None`` where that cannot be known."""

    def close(self) -> None:
        """Take leave where possible, and close the connection; safe after a failed :meth:`open`."""

    def abort(self) -> None:
        """Make every waiting call fail now. Called from another thread."""


WireFactory = Callable[[], Wire]
