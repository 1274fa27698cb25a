"""RTP that is sent here: MPEG-TS (``rtp://``), and what an ``.sdp`` file describes.

FFmpeg's own reader of RTP leaves packets out for minutes when a sender is started again with lower numbers.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import replace

from stream_client.errors import SourceCodecError
from stream_client.rtsp.depacketizer import Depacketizer, PlayedUnit, payload_of
from stream_client.rtsp.description import PlayedTrack, video_track
from stream_client.rtsp.listener import Datagram, Place, RtpListener
from stream_client.rtsp.reports import SenderReport, sender_report
from stream_client.rtsp.sound import PlayedSound, SoundBeside, SoundReception, sound_track
from stream_client.sources.access_units import decoded
from stream_client.sources.datagrams import Description
from stream_client.sources.feed import Classify, FeedFrame, FeedProperties, FeedSound, LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed

_MPEG_TS = 33
"""The payload type (RFC 3551, 6)."""


class RtpTransportStream:
    """A :class:`~stream_client.sources.carrier.Carrier` of the MPEG-TS in RTP (RFC 2250). ``name`` is for messages."""

    container = "mpegts"

    def __init__(self, name: str, place: Place, *, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self._listener = RtpListener(place, timeout=timeout)
        self._datagrams: Iterator[Datagram] = iter(())
        self._rest = b""

    def open(self) -> None:
        """Listen."""
        self._listener.open()
        self._datagrams = self._listener.datagrams()

    def read(self, size: int) -> bytes:
        """What has come."""
        while not self._rest:
            datagram = next(self._datagrams, None)
            if datagram is None:
                return b""
            if not datagram.report:
                self._rest = self._payload(datagram.data)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Give the port back."""
        self._listener.close()

    def abort(self) -> None:
        """End a wait."""
        self._listener.abort()

    def _payload(self, packet: bytes) -> bytes:
        kind = packet[1] & 0x7F
        if kind != _MPEG_TS:
            raise SourceCodecError(
                f"{self._name} carries RTP of type {kind}, and no MPEG-TS: name the .sdp file that describes it",
                option="source",
            )
        return payload_of(packet)


class SdpFeed:
    """What an ``.sdp`` file describes: H.264 and H.265 by our own reader, other codecs by FFmpeg's."""

    def __init__(self, live: LiveInput, described: Description, classify: Classify) -> None:
        self.live = live
        self.properties = FeedProperties()
        self._classify = classify
        self._described = described
        self._track = video_track(described.text, "")
        self._sound = None if described.sound is None else sound_track(described.text, "")
        self._player = _ListeningPlayer(described, self._sound, timeout=live.read_timeout)

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Listen, and decode until the end."""
        try:
            if self._track is None:
                yield from self._frames_of_ffmpeg()
                return
            self._player.listener.open()
            decoder = self.live.decoder
            yield from decoded(self.live.name, self._track, self._player, self._found, self._sound, decoder=decoder)
        except TimeoutError:
            raise self.live.silence(self.live.read_timeout) from None
        except OSError as error:
            raise self._classify(self.live, error) from error
        finally:
            self._player.listener.close()

    def abort(self) -> None:
        """End a wait."""
        self._player.listener.abort()

    def _found(self, properties: FeedProperties) -> None:
        self.properties = properties

    def _frames_of_ffmpeg(self) -> Generator[FeedFrame | FeedSound, None, None]:
        options = {"protocol_whitelist": "file,udp,rtp", "localaddr": self._described.place.address}
        live = replace(self.live, url=self._described.path, format="sdp", options=self.live.options | options)
        feed = FfmpegFeed(live, self._classify)
        for frame in feed.frames():
            self.properties = feed.properties
            yield frame


class _ListeningPlayer:
    """Puts the packets of a listener together."""

    def __init__(self, described: Description, sound: PlayedSound | None, *, timeout: float) -> None:
        self._sound = sound
        self._sound_place = described.sound
        places = [place for place in (described.place, described.sound if sound else None) if place is not None]
        self.listener = RtpListener(*places, timeout=timeout)
        self._depacketizer: Depacketizer | None = None
        self._report: SenderReport | None = None
        self._beside: SoundReception | None = None
        self._source: int | None = None
        self._sound_source: int | None = None
        self._begins = False

    def access_units(self, track: PlayedTrack) -> Iterator[PlayedUnit | SoundBeside]:
        """Each access unit as soon as it is complete, and the sound between them."""
        for datagram in self.listener.datagrams():
            now = time.monotonic()
            if datagram.place == self._sound_place:
                yield from self._heard(datagram, track, now)
                continue
            if datagram.source != self._source:
                self._begins, self._source, self._report = self._source is not None, datagram.source, None
                self._depacketizer = Depacketizer(track.payload_type, track.format)
                self._beside = None
            assert self._depacketizer is not None
            if datagram.report:
                self._take_report(datagram.data)
                continue
            for unit in self._depacketizer.take(datagram.data):
                if self._beside is not None:
                    self._beside.clock.video(unit.time, now)
                yield replace(unit, begins=self._begins)
                self._begins = False

    def _heard(self, datagram: Datagram, track: PlayedTrack, now: float) -> list[SoundBeside]:
        """The sound that ends with a packet. Another sender of it, or of the video, begins anew."""
        if self._sound is None:
            return []
        if self._beside is None or datagram.source != self._sound_source:
            self._sound_source, self._beside = datagram.source, SoundReception(self._sound, track.clock_rate)
        return self._beside.take(datagram.data, now, report=datagram.report)

    def _take_report(self, data: bytes) -> None:
        self._report = sender_report(data) or self._report
        if self._beside is not None and self._report is not None and self._depacketizer is not None:
            ticks = self._depacketizer.time_of(self._report.timestamp)
            self._beside.clock.report(ticks, self._report.time, sound=False)

    def capture_time(self, time: int, clock_rate: int) -> int | None:
        """By the sender's clock, once it has said it."""
        if self._report is None or self._depacketizer is None:
            return None
        return self._report.at(time - self._depacketizer.time_of(self._report.timestamp), clock_rate)
