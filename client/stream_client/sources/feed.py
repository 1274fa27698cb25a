"""The seam below live sources: the decoded frames of one connection. FFmpeg implements it."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import av
import av.error

from stream_client.errors import SourceCodecError, SourceError, SourceTimeoutError
from stream_client.sources.options import DEFAULTS

_MAX_PLAUSIBLE_RATE = 1000


@dataclass(frozen=True, slots=True)
class LiveInput:
    """What is opened: ``url``, an input ``format`` (``"v4l2"``) and FFmpeg's ``options``. Timeouts are in seconds."""

    name: str
    url: str = field(repr=False)
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    open_timeout: float = DEFAULTS.source_timeout
    read_timeout: float = DEFAULTS.source_timeout


Classify = Callable[[LiveInput, OSError | av.error.FFmpegError], SourceError]
"""Makes our exception of FFmpeg's."""


@dataclass(frozen=True, slots=True)
class FeedProperties:
    """``frame_rate``: declared frames a second. ``finite``: the stream declares a length, so its end is not a loss.

    ``sample_aspect_ratio``: a pixel's width over its height, ``None`` or 0 where it is unknown.
    """

    codec: str = ""
    frame_rate: Fraction | None = None
    finite: bool = False
    sample_aspect_ratio: Fraction | None = None


class Feed(Protocol):
    """One connection. It is used once, by one thread. Only :meth:`abort` is for other threads."""

    live: LiveInput
    properties: FeedProperties
    """Known once the first frame is there."""

    def frames(self) -> Generator[av.VideoFrame, None, None]:
        """Connect, and decode until the end; raises :class:`~stream_client.errors.SourceError`."""

    def abort(self) -> None:
        """Make a waiting read fail now, where that is possible. Called from another thread."""


class FfmpegFeed:
    """Everything that FFmpeg opens. ``classify`` turns FFmpeg's exception into one of ours.

    FFmpeg's exception carries the whole URL, so it is never the cause of ours: a traceback would show the credentials.
    """

    def __init__(self, live: LiveInput, classify: Classify) -> None:
        self.live = live
        self.properties = FeedProperties()
        self._classify = classify

    def frames(self) -> Generator[av.VideoFrame, None, None]:
        """Connect, and decode until the end."""
        with self._open() as container:
            try:
                stream = self._video(container)
                for packet in container.demux(stream):
                    try:
                        frames = stream.decode(packet)
                    except av.error.InvalidDataError:
                        continue  # damaged in transit, or before the first key frame: the stream goes on
                    yield from frames
            except av.error.InvalidDataError:
                raise SourceError(f"{self.live.name} broke off") from None
            except (OSError, av.error.FFmpegError) as error:
                raise self._classify(self.live, error) from None

    def abort(self) -> None:
        """FFmpeg cannot be woken while it waits for a silent server. Its own timeouts end the wait."""

    def _open(self) -> av.container.InputContainer:
        live = self.live
        started = time.monotonic()
        try:
            return av.open(
                live.url, format=live.format, options=live.options, timeout=(live.open_timeout, live.read_timeout)
            )
        except (OSError, av.error.FFmpegError) as error:  # most of FFmpeg's errors are not an OSError
            # An interrupted handshake ends with any error, "invalid data" for instance.
            if time.monotonic() - started >= live.open_timeout:
                raise SourceTimeoutError(f"{live.name} did not answer within {live.open_timeout:g} s") from None
            raise self._classify(live, error) from None

    def _video(self, container: av.container.InputContainer) -> av.VideoStream:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise SourceCodecError(f"{self.live.name} has no video track, only {kinds}", option="input_stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise SourceCodecError(
                f"{self.live.name} has video in a codec that FFmpeg cannot decode", option="input_stream"
            )
        stream.thread_type = "SLICE"  # frame threads would hold back a frame a thread
        rate = stream.average_rate
        self.properties = FeedProperties(
            codec=stream.codec_context.name,
            frame_rate=Fraction(rate) if rate and 0 < rate < _MAX_PLAUSIBLE_RATE else None,
            finite=container.duration is not None,
            sample_aspect_ratio=stream.sample_aspect_ratio,
        )
        return stream
