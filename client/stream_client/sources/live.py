"""One connection to a stream through a feed: a live one, or a recording that is read to its end."""

import logging
import math
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass

from stream_client.errors import SourceError, SourceTimeoutError
from stream_client.frames import Frame, PlaneFormat, StreamInfo
from stream_client.sound.track import SoundTrack
from stream_client.sources.decoding import Decoding
from stream_client.sources.feed import Feed, FeedFrame, FeedSound, PassableFeed
from stream_client.sources.media_clock import MediaClock
from stream_client.sources.pixels import PixelMaker
from stream_client.util.clock import SteadyClock
from stream_client.util.media import ImageOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A decoded frame, its number, its timestamp in µs, and when it was there (:func:`time.monotonic`)."""

    number: int
    fed: FeedFrame
    timestamp: int
    captured: float


class LiveSource:
    """Reads one connection, ``feed``, until it ends.

    A stream that declares a length is read like a file: every frame, with media time from 0. Every other is live: its
    timestamps are µs since 1970 by ``clock`` and follow the stream's own, see :class:`.MediaClock`. The decoder of a
    live stream is always drained, so frames never queue up inside FFmpeg and the newest one is ready; a gap in the
    indices means frames that were not read in time. A stream that comes in bursts is paced by its timestamps.
    """

    BUFFERED = Decoding.BUFFERED
    """How many decoded frames are kept for the reader."""
    PASSED_BUFFERED = 30
    """How many that are not decoded. They are small, and others are made from them."""

    def __init__(self, feed: Feed, images: ImageOptions | None = None, clock: SteadyClock | None = None) -> None:
        self._live = feed.live
        self._feed = feed
        self._clock = clock or SteadyClock()
        self._keep_all = False
        self._media_clock = MediaClock()
        self._decoding = Decoding(feed.live.name, self._frames, feed.abort)
        self._pixels = PixelMaker(images)
        self._last = -1
        self._start = 0
        self._sound: SoundTrack | None = None
        self._waited = False
        self._wanted = threading.Event()

    @property
    def finite(self) -> bool:
        """Whether the stream declares a length. Its end is then not a loss."""
        return self._feed.properties.finite

    def keep_all(self) -> None:
        """Wait for the reader rather than drop a frame. Call this before :meth:`open`."""
        self._keep_all = True

    @property
    def passes(self) -> bool:
        """Whether the feed's kind may have H.264 to pass on."""
        return isinstance(self._feed, PassableFeed)

    def pass_on(self) -> None:
        """Let the feed pass H.264 on, where it can. Call this before :meth:`open`."""
        if isinstance(self._feed, PassableFeed):
            self._feed.pass_on()
            self._decoding.buffered = self.PASSED_BUFFERED

    def give_planes(self, wanted: PlaneFormat) -> None:
        """Give planes as they were decoded, where that can be. Call this before :meth:`open`."""
        self._pixels.give_planes(wanted)

    def open(self, within: float = math.inf) -> StreamInfo:
        """Connect and wait for the first frame, ``within`` seconds at most."""
        self._decoding.start()
        # FFmpeg may use its timeout twice: to connect, and to find the stream's properties.
        timeout = min(2 * self._live.open_timeout + self._live.read_timeout, within)
        try:
            first = self._decoding.peek(timeout)
        except TimeoutError:
            self._feed.abort()
            raise SourceTimeoutError(f"{self._live.name}: no frame within {timeout:.3g} s", option="source") from None
        except SourceError:
            self._feed.abort()
            raise
        if first is None:
            if self._decoding.interrupted:
                raise SourceError(f"{self._live.name}: stopped before the first frame")
            raise SourceError(f"{self._live.name} ended before the first frame", option="source")
        found = self._feed.properties
        self._sound = found.sound
        shape = self._pixels.rgb.shape(first.fed.frame, found.sample_aspect_ratio)
        return StreamInfo(
            self._live.name,
            shape.width,
            shape.height,
            found.frame_rate,
            live=not found.finite,
            frame_count=found.frame_count,
            start=self._start,
            codec=found.codec,
            sample_aspect_ratio=shape.sample_aspect_ratio,
            color=shape.color,
            sound=found.sound,
            encoded=first.fed.encoded is not None,
        )

    @property
    def unreadable(self) -> int:
        """Frames so far that cannot be converted."""
        return self._pixels.rgb.skipped

    def read(self) -> Frame | None:
        """Wait for a frame that can be converted. Returns the oldest one kept."""
        if self._sound is not None and not self._wanted.is_set():
            self._sound.begin()
        self._wanted.set()
        while (decoded := self._next_decoded()) is not None:
            pixels = self._pixels(decoded.fed, self._feed.properties.sample_aspect_ratio)
            if pixels is not None:
                return Frame(
                    decoded.number,
                    decoded.timestamp,
                    pixels.image,
                    decoded.captured,
                    capture_time=decoded.fed.capture_time,
                    damaged=decoded.fed.damaged,
                    encoded=decoded.fed.encoded,
                    planes=pixels.planes,
                )
        return None

    def _next_decoded(self) -> _Timed | None:
        try:
            return self._decoding.next(self._live.read_timeout + 1.0)
        except TimeoutError:
            raise SourceTimeoutError(f"{self._live.name}: no frame for {self._live.read_timeout:g} s") from None

    def interrupt(self) -> None:
        """End a waiting :meth:`open` or :meth:`read`."""
        self._decoding.interrupt()
        self._wanted.set()

    def close(self) -> None:
        """End the decoding thread. It closes the connection politely unless the server is silent."""
        self.interrupt()
        self._decoding.close()

    def _frames(self) -> Generator[_Timed, None, None]:
        number = 0
        for fed in self._feed.frames():
            found = self._feed.properties
            if isinstance(fed, FeedSound):
                self._take_sound(fed)
                continue
            self._decoding.waits = found.finite or self._keep_all
            timestamp = self._recorded(fed) if found.finite else self._clock.at(self._live_time(fed))
            self._last = max(timestamp, self._last + 1)
            if not number and not found.finite:
                self._start = self._last
            yield _Timed(number, fed, self._last, _arrival(fed))
            number += 1
            if found.bursty and not self._wanted.is_set():
                # What comes in bursts can wait until the run begins. Its clock starts then, with this frame.
                self._wanted.wait()
                self._media_clock = MediaClock()
                self._live_time(fed)

    def _take_sound(self, fed: FeedSound) -> None:
        """Put sound where the frames are. Before the first one there is none."""
        time = self._media_clock.beside(fed.time / 1_000_000)
        track = self._feed.properties.sound
        if time is not None and track is not None:
            track.put(fed.packet, (self._clock.at(time) - self._start) / 1_000_000)

    def _recorded(self, fed: FeedFrame) -> int:
        return fed.time if fed.time is not None else self._last + 1

    def _live_time(self, fed: FeedFrame) -> float:
        """The frame's time, on :func:`time.monotonic`'s clock; waits until then where frames come in bursts."""
        now = _arrival(fed)
        media = None if fed.time is None else fed.time / 1_000_000
        if self._decoding.held and not self._waited:
            self._waited = True
            logger.warning("%s has to wait; frames that it drops itself are not counted", self._live.name)
        if self._waited and media is not None:
            return self._media_clock.held(media)
        if self._feed.properties.bursty:
            due = self._media_clock.expected(media, now)
            self._decoding.sleep(due - now)
            return self._media_clock.time(media, max(due, now))
        return self._media_clock.time(media, now)


def _arrival(fed: FeedFrame) -> float:
    return time.monotonic() if fed.arrived is None else fed.arrived
