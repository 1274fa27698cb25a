"""Our own reader for H.264 by RTSP over TCP. It has each frame one frame period before FFmpeg's demuxer does."""

from collections.abc import Callable, Generator
from fractions import Fraction

import av
import av.error

from stream_client.errors import RtspError, SourceError
from stream_client.rtsp.description import H264Track
from stream_client.rtsp.player import Player
from stream_client.sources.feed import FeedFrame, FeedProperties, LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.pixel_bound import Refusals, bound
from stream_client.sources.timeline import MediaTimes
from stream_client.util.container import microseconds

_NOMINAL_RATE = Fraction(30)
_CLEAR = (401, 403, 404)
"""Refusals that FFmpeg would get as well. FFmpeg does not try after them, since some cameras lock a client out that
asks again.
"""


class RtspFeed:
    """Plays H.264 itself. Every other codec goes to FFmpeg, and so does a server that this player cannot talk to.

    ``classify`` turns an exception of FFmpeg's or of the connection into one of ours.
    """

    def __init__(
        self, live: LiveInput, classify: Callable[[LiveInput, OSError | av.error.FFmpegError | RtspError], SourceError]
    ) -> None:
        self.live = live
        self.properties = FeedProperties()
        self._classify = classify
        self._player = Player(live.url, timeout=live.open_timeout)
        self._aborted = False

    def frames(self) -> Generator[FeedFrame, None, None]:
        """Connect, and decode until the end."""
        try:
            track = self._play()
            yield from self._frames_of_ffmpeg() if track is None else self._decode(track)
        except OSError as error:
            raise self._classify(self.live, error) from error
        finally:
            self._player.close()

    def abort(self) -> None:
        """Make a wait for the peer fail now."""
        self._aborted = True
        self._player.abort()

    def _play(self) -> H264Track | None:
        """Start to play. ``None`` where FFmpeg has to do it."""
        try:
            track = self._player.describe()
            if track is not None:
                self._player.play(track)
        except RtspError as error:
            if error.status in _CLEAR or error.status >= 500:
                raise self._classify(self.live, error) from error
            self._player.close()
            return None
        return track

    def _frames_of_ffmpeg(self) -> Generator[FeedFrame, None, None]:
        if self._aborted:
            raise SourceError(f"{self.live.name}: stopped")
        feed = FfmpegFeed(self.live, self._classify)
        for frame in feed.frames():
            # The server kept the stream ready for this connection until FFmpeg had its own.
            self._player.close()
            self.properties = feed.properties
            yield frame

    def _decode(self, track: H264Track) -> Generator[FeedFrame, None, None]:
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_type = "SLICE"  # frame threads would hold back a frame a thread
        decoder.extradata = track.parameter_sets or None
        bound(decoder, self.live.name)
        refusals = Refusals(self.live.name)
        times = MediaTimes(round(1_000_000 / (track.frame_rate or _NOMINAL_RATE))) if track.finite else None
        for unit in self._player.access_units(track):
            packet = av.Packet(unit.data)
            packet.pts, packet.time_base = unit.time, Fraction(1, track.clock_rate)
            try:
                frames = decoder.decode(packet)
            except av.error.InvalidDataError:  # damaged in transit, or before the first key frame: the stream goes on
                refusals.damaged(decoder)
                continue
            if frames and not self.properties.codec:
                rate = track.frame_rate or decoder.framerate or None
                self.properties = FeedProperties(
                    codec=decoder.name,
                    frame_rate=rate,
                    finite=track.finite,
                    sample_aspect_ratio=decoder.sample_aspect_ratio,
                )
            yield from (self._timed(frame, track, times) for frame in frames)
        yield from (self._timed(frame, track, times) for frame in decoder.decode(None))

    def _timed(self, frame: av.VideoFrame, track: H264Track, times: MediaTimes | None) -> FeedFrame:
        time = microseconds(frame)
        captured = None if frame.pts is None else self._player.capture_time(frame.pts, track.clock_rate)
        return FeedFrame(frame, time if times is None else times.place(time), captured)
