"""The seam below network sources and cameras: the decoded frames of one connection."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol, runtime_checkable

import av
import av.error

from kserve_wire.encoded import EncodedFrame
from stream_client.errors import SourceError, SourceTimeoutError
from stream_client.sound.track import SoundTrack
from stream_client.sources.options import DEFAULTS
from stream_client.util.decoder import Decoder


@dataclass(frozen=True, slots=True)
class LiveInput:
    """What is opened: ``url``, an input ``format`` (``"v4l2"``) and FFmpeg's ``options``. Timeouts are in seconds.

    ``udp``: ask an RTSP server for UDP. ``insecure``: take any certificate, and send passwords unencrypted.
    ``decoder``: what decodes. ``sent_here``: nobody is asked for the stream, it is sent to this machine.
    """

    name: str
    url: str = field(repr=False)
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    udp: bool = False
    insecure: bool = False
    sent_here: bool = False
    decoder: Decoder = "software"
    open_timeout: float = DEFAULTS.source_timeout
    read_timeout: float = DEFAULTS.source_timeout

    def silence(self, seconds: float) -> SourceTimeoutError:
        """What it means that nothing came for so long."""
        if self.sent_here:
            text = f"{self.name} got nothing within {seconds:g} s: is it sent to this address, and let in by firewalls?"
        else:
            text = f"{self.name} did not answer within {seconds:g} s"
        return SourceTimeoutError(text)


Classify = Callable[[LiveInput, OSError | av.error.FFmpegError], SourceError]
"""Makes our exception of FFmpeg's."""


@dataclass(frozen=True, slots=True)
class FeedProperties:
    """What a feed knows of its stream. ``frame_rate``: declared frames a second. ``frame_count``: an estimate.

    ``finite``: the stream declares a length, so its end is not a loss. ``bursty``: it comes in bursts, a segment at a
    time, or faster than real time. ``sample_aspect_ratio``: a pixel's width over its height, ``None`` or 0 where it is
    unknown.
    """

    codec: str = ""
    frame_rate: Fraction | None = None
    frame_count: int | None = None
    finite: bool = False
    bursty: bool = False
    sample_aspect_ratio: Fraction | None = None
    sound: SoundTrack | None = None


@dataclass(frozen=True, slots=True)
class FeedFrame:
    """A decoded frame. ``time`` is its timestamp in µs, ``None`` where the stream has none.

    Of a finite stream it is media time from 0, strictly increasing. ``capture_time`` is
    :attr:`~stream_client.frames.Frame.capture_time`, and so is ``damaged``. ``arrived``, by :func:`time.monotonic`, is
    when the frame came, ``None`` where that is now. ``encoded``: the frame is passed on, and ``frame`` is the first
    picture of its stream, for what all of them are like.
    """

    frame: av.VideoFrame
    time: int | None = None
    capture_time: int | None = None
    damaged: bool = False
    arrived: float | None = None
    encoded: EncodedFrame | None = None


@dataclass(frozen=True, slots=True)
class FeedSound:
    """A packet of the stream's sound. ``time`` is its timestamp in µs, as that of frames."""

    packet: "av.Packet[av.AudioStream]"
    time: int


class Feed(Protocol):
    """One connection. It is used once, by one thread. Only :meth:`abort` is for other threads."""

    live: LiveInput

    @property
    def properties(self) -> FeedProperties:
        """Known once the first frame is there."""

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Connect, and decode until the end; raises :class:`~stream_client.errors.SourceError`.

        Sound comes between the frames, but a finite stream's goes to its track by itself.
        """

    def abort(self) -> None:
        """Make a waiting read fail now, where that is possible. Called from another thread."""


@runtime_checkable
class PassableFeed(Protocol):
    """A feed that can pass H.264 on. Optional: others always decode."""

    def pass_on(self) -> None:
        """Pass frames on as they are, where they allow it; called before :meth:`Feed.frames`."""
