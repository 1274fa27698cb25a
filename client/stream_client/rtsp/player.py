"""Plays one video track over TCP or UDP, and the sound beside it: DESCRIBE, SETUP, PLAY, packets, TEARDOWN."""

import contextlib
import re
import selectors
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from stream_client.errors import RtspError
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.depacketizer import Depacketizer, PlayedUnit
from stream_client.rtsp.description import PlayedTrack, video_track
from stream_client.rtsp.messages import Packet, interleaved
from stream_client.rtsp.reception import Reception
from stream_client.rtsp.reorder import ReorderBuffer
from stream_client.rtsp.reports import SenderReport, says_bye, sender_report
from stream_client.rtsp.sound import PlayedSound, SoundBeside, SoundReception, sound_track
from stream_client.rtsp.udp_receiver import UdpReceiver

_CHANNELS = re.compile(r"interleaved=([0-9]{1,3})\b")
_UNSUPPORTED_TRANSPORT = 461
_REPORT_SECONDS = 5.0
_REORDER_SECONDS = 0.05
"""How long a packet of UDP is waited for once a later one is there.

On a local network packets are out of order by less than a millisecond, over the internet seldom by more than this.
"""


@dataclass(frozen=True, slots=True)
class _Datagram:
    """A packet of RTP, or of RTCP (``report``), of the video or of the ``sound``."""

    data: bytes
    report: bool = False
    sound: bool = False


class Player:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step and each wait for data.

    ``udp``: ask for UDP first. A server that refuses the one gets the other. ``insecure``: see
    :class:`~stream_client.rtsp.connection.RtspConnection`. Raises :class:`RtspError` for refusals and :class:`OSError`
    (timeouts, TLS) for the rest.
    """

    def __init__(self, url: str, *, timeout: float, udp: bool = False, insecure: bool = False) -> None:
        self._connection = RtspConnection(url, timeout=timeout, insecure=insecure)
        self._timeout = timeout
        self._wants_udp = udp
        self._channel = 0
        self._udp: UdpReceiver | None = None
        self._depacketizer: Depacketizer | None = None
        self._report: SenderReport | None = None
        self.sound: PlayedSound | None = None
        """What comes with the video, once it is played."""
        self._sound_channel: int | None = None
        self._sound_udp: UdpReceiver | None = None

    @property
    def url(self) -> str:
        """The address without credentials, after redirects the last one."""
        return self._connection.url

    @property
    def by_udp(self) -> bool:
        """Whether packets come by UDP."""
        return self._udp is not None

    def describe(self) -> PlayedTrack | None:
        """Connect; the first video track, ``None`` where it is in no format that we read."""
        connection = self._connection
        response = connection.begin("DESCRIBE", {"Accept": "application/sdp"})
        headers = response.headers
        base = headers.get("content-base") or headers.get("content-location") or connection.url
        text = response.body.decode("utf-8", "replace")
        track = video_track(text, base)
        if track is not None and not track.finite:
            self.sound = sound_track(text, track.presentation)
        return track

    def play(self, track: PlayedTrack) -> None:
        """Ask for ``track``'s packets."""
        try:
            self._set_up(track, udp=self._wants_udp)
        except RtspError as refusal:
            if refusal.status != _UNSUPPORTED_TRANSPORT:
                raise
            self._set_up(track, udp=not self._wants_udp)
        if self.sound is not None and not self._set_up_sound(self.sound):
            self.sound = None
        self._connection.request("PLAY", track.presentation, {"Range": "npt=0.000-"})

    def access_units(self, track: PlayedTrack) -> Iterator[PlayedUnit | SoundBeside]:
        """Each access unit as soon as it is complete, and the sound between them, until the server ends the stream."""
        depacketizer = self._depacketizer = Depacketizer(track.payload_type, track.format)
        beside = None if self.sound is None else SoundReception(self.sound, track.clock_rate)
        reception = Reception(track.clock_rate)
        next_report = time.monotonic() + _REPORT_SECONDS
        packets = self._interleaved(reception) if self._udp is None else self._datagrams(self._udp, reception)
        for packet in packets:
            now = time.monotonic()
            if packet.sound:
                if beside is not None:
                    yield from beside.take(packet.data, now, report=packet.report)
                continue
            if packet.report:
                self._report = sender_report(packet.data) or self._report
                reception.take_report(packet.data, now)
                if beside is not None and self._report is not None:
                    beside.clock.report(depacketizer.time_of(self._report.timestamp), self._report.time, sound=False)
                if says_bye(packet.data):
                    return
            else:
                for unit in depacketizer.take(packet.data):
                    if beside is not None:
                        beside.clock.video(unit.time, now)
                    yield unit
            if now >= next_report:
                next_report = now + _REPORT_SECONDS
                self._send_report(reception.report(now))

    def capture_time(self, time: int, clock_rate: int) -> int | None:
        """When the server's clock captured the access unit of that time: µs since 1970, ``None`` where it never said.

        The server says it in its sender reports, the first of which may come seconds after the first frame.
        """
        if self._report is None or self._depacketizer is None:
            return None
        return self._report.at(time - self._depacketizer.time_of(self._report.timestamp), clock_rate)

    def close(self) -> None:
        """End the session where possible, and close the connection."""
        self._connection.close()
        for udp in (self._udp, self._sound_udp):
            if udp is not None:
                udp.close()
        self._udp = self._sound_udp = None

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()

    def _set_up(self, track: PlayedTrack, *, udp: bool) -> None:
        if not udp:
            transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
            response = self._connection.request("SETUP", track.control, transport)
            channels = _CHANNELS.search(response.headers.get("transport", ""))
            if channels is None:
                raise RtspError("the server does not send packets within the connection")
            self._channel = int(channels[1])
            return
        self._udp = self._set_up_by_udp(track.control)

    def _set_up_by_udp(self, control: str) -> UdpReceiver:
        receiver = UdpReceiver(self._connection.peer)
        try:
            response = self._connection.request("SETUP", control, {"Transport": receiver.transport})
            receiver.take_answer(response.headers.get("transport", ""))
        except BaseException:
            receiver.close()
            raise
        return receiver

    def _set_up_sound(self, sound: PlayedSound) -> bool:
        """Whether the server sends the sound, too. Without it the video is played alone."""
        if self._udp is not None:
            with contextlib.suppress(RtspError):
                self._sound_udp = self._set_up_by_udp(sound.control)
            return self._sound_udp is not None
        first = self._channel + 2
        transport = {"Transport": f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"}
        try:
            response = self._connection.request("SETUP", sound.control, transport)
        except RtspError:
            return False
        channels = _CHANNELS.search(response.headers.get("transport", ""))
        self._sound_channel = int(channels[1]) if channels is not None else None
        return channels is not None

    def _interleaved(self, reception: Reception) -> Iterator[_Datagram]:
        """Packets of the connection."""
        while True:
            try:
                message = self._connection.receive()
            except RtspError:  # a request of the server, or a fault of it
                self._connection.skip_to_packet()
                continue
            sound = self._sound_channel
            if isinstance(message, Packet) and sound is not None and message.channel in (sound, sound + 1):
                yield _Datagram(message.data, report=message.channel == sound + 1, sound=True)
            elif isinstance(message, Packet) and message.channel == self._channel:
                reception.take(message.data, time.monotonic())
                yield _Datagram(message.data)
            elif isinstance(message, Packet) and message.channel == self._channel + 1:
                yield _Datagram(message.data, report=True)
            if keepalive := self._connection.keepalive():
                self._connection.send(keepalive)

    def _datagrams(self, udp: UdpReceiver, reception: Reception) -> Iterator[_Datagram]:
        """Packets of UDP, those of each track in order."""
        tracks = [_Arriving(udp, reception)]
        if self._sound_udp is not None:
            tracks.append(_Arriving(self._sound_udp, None))
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            for track in tracks:
                selector.register(track.udp.rtp, selectors.EVENT_READ)
                selector.register(track.udp.rtcp, selectors.EVENT_READ)
            while True:
                until = min(tracks[0].last + self._timeout, self._connection.next_deadline())
                until = min(until, *(track.reorder.deadline() for track in tracks))
                ready = {key.fileobj for key, _ in selector.select(max(0.0, until - time.monotonic()))}
                now = time.monotonic()
                if self._connection in ready:
                    self._connection.discard_received()
                for track in tracks:
                    for packet in track.take(ready, now):
                        yield replace(packet, sound=track is not tracks[0])
                if now >= tracks[0].last + self._timeout:
                    raise TimeoutError("no packet came by UDP")
                if keepalive := self._connection.keepalive():
                    self._connection.send(keepalive)

    def _send_report(self, report: bytes) -> None:
        if not report:
            return
        if self._udp is not None:
            self._udp.send_report(report)
        else:
            self._connection.send(interleaved(self._channel + 1, report))


class _Arriving:
    """A track's packets by UDP; ``reception`` counts them."""

    def __init__(self, udp: UdpReceiver, reception: Reception | None) -> None:
        self.udp = udp
        self.reorder = ReorderBuffer(_REORDER_SECONDS)
        self.last = time.monotonic()
        """When the last packet came."""
        self._reception = reception

    def take(self, ready: Container[object], now: float) -> Iterator[_Datagram]:
        """What has come at the sockets that are ``ready``, and what need not be waited for any longer."""
        if self.udp.rtcp in ready:
            yield from (_Datagram(data, report=True) for data in self.udp.receive(self.udp.rtcp))
        if self.udp.rtp in ready:
            for data in self.udp.receive(self.udp.rtp):
                self.last = now
                if self._reception is not None:
                    self._reception.take(data, now)
                yield from map(_Datagram, self.reorder.push(int.from_bytes(data[2:4], "big"), data, now))
        yield from map(_Datagram, self.reorder.expired(now))
