"""Our own reader for H.264 and H.265 by RTSP. It has each frame one frame period before FFmpeg's demuxer does."""

import logging
import threading
from collections.abc import Callable, Generator
from dataclasses import replace

import av.error

from stream_client.errors import RtspError, SourceError, SourceTimeoutError
from stream_client.rtsp.description import PlayedTrack
from stream_client.rtsp.formats import H264
from stream_client.rtsp.player import Player
from stream_client.rtsp.sound import SoundBeside
from stream_client.sources.access_units import decoded, sound_of, track_of
from stream_client.sources.feed import FeedFrame, FeedProperties, FeedSound, LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.passing import Passing, with_parameter_sets
from stream_client.util.urls import moved

logger = logging.getLogger(__name__)

_RELEASE_PAUSES = (0, 0.05, 0.1, 0.2, 0.4)
"""Seconds before each of FFmpeg's attempts: a server may release our own session only after the connection has gone."""
_CLEAR = (400, 401, 403, 404, 453, 454)


class RtspFeed:
    """Plays H.264 and H.265 itself. Other codecs go to FFmpeg, and so does a server that this player cannot talk to.

    There is one connection at a time: some cameras take no second one.

    ``classify`` turns an exception of FFmpeg's or of the connection into one of ours.
    """

    def __init__(
        self, live: LiveInput, classify: Callable[[LiveInput, OSError | av.error.FFmpegError | RtspError], SourceError]
    ) -> None:
        self.live = live
        self.properties = FeedProperties()
        self._classify = classify
        self._player = Player(live.url, timeout=live.open_timeout, udp=live.udp, insecure=live.insecure)
        self._aborted = threading.Event()
        self._passing = False

    def pass_on(self) -> None:
        """Pass H.264 on without decoding it, unless the stream has an end."""
        self._passing = True

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Connect, and decode until the end."""
        try:
            track = self._play()
            if track is None:
                yield from self._frames_of_ffmpeg()
            elif self._passing and track.format is H264 and not track.finite:
                yield from self._pass(track)
            else:
                yield from self._decode(track)
        except TimeoutError as error:
            if self.properties.codec or not self._player.by_udp:
                raise self._classify(self.live, error) from error
            text = (
                f"{self.live.name}: no frame came by UDP within {self.live.open_timeout:g} s: does a firewall stop it?"
            )
            raise SourceTimeoutError(text, option="rtsp_transport", value="tcp") from error
        except OSError as error:
            raise self._classify(self.live, error) from error
        finally:
            self._player.close()

    def abort(self) -> None:
        """Make a wait for the peer fail now."""
        self._aborted.set()
        self._player.abort()

    def _play(self) -> PlayedTrack | None:
        """Start to play. ``None`` where FFmpeg has to do it."""
        try:
            track = self._player.describe()
            if track is not None:
                self._player.play(track)
        except RtspError as error:
            if _is_clear(error):
                raise self._classify(self.live, error) from error
            return None
        if track is not None and self._player.by_udp != self.live.udp:
            took, refused = ("UDP", "TCP") if self._player.by_udp else ("TCP", "UDP")
            logger.warning("%s: the server does not send by %s, so it is read by %s", self.live.name, refused, took)
        return track

    def _frames_of_ffmpeg(self) -> Generator[FeedFrame | FeedSound, None, None]:
        self._player.close()
        # Credentials do not follow a redirect to another server.
        live = replace(self.live, url=moved(self.live.url, self._player.url))
        faulty = False

        def classify(live: LiveInput, error: OSError | av.error.FFmpegError) -> SourceError:
            nonlocal faulty
            faulty = isinstance(error, av.error.HTTPServerError)
            return self._classify(live, error)

        for pause in _RELEASE_PAUSES:
            if self._aborted.wait(pause):
                raise SourceError(f"{self.live.name}: stopped")
            feed = FfmpegFeed(live, classify)
            try:
                for frame in feed.frames():
                    self.properties = feed.properties
                    yield frame
                return
            except SourceError:
                if self.properties.codec or pause == _RELEASE_PAUSES[-1] or not faulty:
                    raise

    def _pass(self, track: PlayedTrack) -> Generator[FeedFrame | FeedSound, None, None]:
        """Frames that are not decoded, but for the first one."""
        passing = Passing()
        for unit in self._player.access_units(track):
            if isinstance(unit, SoundBeside):
                yield sound_of(unit)
                continue
            data = with_parameter_sets(unit.data, track.parameter_sets)
            for frame in passing.take(data, unit.time, damaged=unit.damaged):
                picture = passing.picture
                assert picture is not None
                if not self.properties.codec:
                    self.properties = FeedProperties(
                        codec="h264", frame_rate=track.frame_rate or None, sound=track_of(self._player.sound)
                    )
                time = round(frame.stamp * 1_000_000 / track.clock_rate)
                captured = self._player.capture_time(frame.stamp, track.clock_rate)
                yield FeedFrame(picture, time, captured, frame.damaged, encoded=frame.encoded)

    def _decode(self, track: PlayedTrack) -> Generator[FeedFrame | FeedSound, None, None]:
        def found(properties: FeedProperties) -> None:
            self.properties = properties

        return decoded(self.live.name, track, self._player, found, self._player.sound, decoder=self.live.decoder)


def _is_clear(refusal: RtspError) -> bool:
    """Whether FFmpeg does not try after a refusal.

    It would get the same answer, and some cameras lock a client out that asks again. And it follows redirects anywhere,
    to a local file too, so it must not try those that we refused.
    """
    status = refusal.status
    return status in _CLEAR or 300 <= status < 400 or status >= 500
