"""RTP that is sent here: MPEG-TS (``rtp://``), and what an ``.sdp`` file describes.

FFmpeg's own reader of RTP leaves packets out for minutes when a sender is started again with lower numbers.
"""

from collections.abc import Generator, Iterator
from dataclasses import replace

from stream_client.errors import SourceCodecError
from stream_client.rtsp.depacketizer import AccessUnit, Depacketizer, payload_of
from stream_client.rtsp.description import PlayedTrack, video_track
from stream_client.rtsp.listener import Datagram, Place, RtpListener
from stream_client.rtsp.reports import SenderReport, sender_report
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
        self._player = _ListeningPlayer(described.place, timeout=live.read_timeout)

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Listen, and decode until the end."""
        try:
            if self._track is None:
                yield from self._frames_of_ffmpeg()
                return
            self._player.listener.open()
            yield from decoded(self.live.name, self._track, self._player, self._found, decoder=self.live.decoder)
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

    def __init__(self, place: Place, *, timeout: float) -> None:
        self.listener = RtpListener(place, timeout=timeout)
        self._depacketizer: Depacketizer | None = None
        self._report: SenderReport | None = None

    def access_units(self, track: PlayedTrack) -> Iterator[AccessUnit]:
        """Each access unit as soon as it is complete."""
        source: int | None = None
        for datagram in self.listener.datagrams():
            if datagram.source != source:
                begins, source, self._report = source is not None, datagram.source, None
                self._depacketizer = Depacketizer(track.payload_type, track.format)
            assert self._depacketizer is not None
            if datagram.report:
                self._report = sender_report(datagram.data) or self._report
                continue
            for unit in self._depacketizer.take(datagram.data):
                yield replace(unit, begins=begins)
                begins = False

    def capture_time(self, time: int, clock_rate: int) -> int | None:
        """By the sender's clock, once it has said it."""
        if self._report is None or self._depacketizer is None:
            return None
        return self._report.at(time - self._depacketizer.time_of(self._report.timestamp), clock_rate)
