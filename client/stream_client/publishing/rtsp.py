"""Publishes H.264, and sound where there is one: ANNOUNCE, SETUP, RECORD, packets, TEARDOWN."""

import contextlib
import logging
import time

from stream_client.errors import RtspError
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.h264 import (
    CLOCK_RATE,
    RtpPacketiser,
    parameter_sets,
    session_description,
    split_access_unit,
)
from stream_client.rtsp.messages import interleaved
from stream_client.rtsp.sound_packetiser import CODECS, CONTROL, SoundPacketiser
from stream_client.rtsp.udp_sender import UdpSender
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import LIVE_SILENCE, SoundRule
from stream_client.sound.track import SoundFormat

_REPORT_SECONDS = 5.0
_UNSUPPORTED_TRANSPORT = 461
_TITLE = "ovms-stream-client"
_VIDEO_CONTROL = "streamid=0"
_RULE = SoundRule(CODECS, "aac", channels=2, silence=LIVE_SILENCE)
_NO_MATTER_OF_SOUND = (401, 403, 404, 453, 454, _UNSUPPORTED_TRANSPORT, 501, 503)
"""Refusals that have another reason than the sound."""

logger = logging.getLogger(__name__)


class Transport:
    """What one server takes, and how, kept from one connection to the next. ``name`` is the output's in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.udp = False
        self.sound = True
        """Whether to offer sound."""
        self._sound_known = self._sound_refused = False

    def change(self) -> None:
        """The server wants the other one."""
        self.udp = not self.udp
        how, not_how = ("UDP, where frames can be lost", "TCP") if self.udp else ("TCP", "UDP")
        logger.warning("%s: the server takes no stream by %s, so it is sent by %s", self._name, not_how, how)

    def refused(self, *, sound: bool) -> None:
        """The server refused a stream, with sound or without: the next attempt is the other way."""
        if not self._sound_known and (sound or self._sound_refused):
            self.sound, self._sound_refused = not sound, sound

    def taken(self, *, sound: bool) -> None:
        """The server took a stream, with sound or without."""
        if self._sound_refused and not sound and not self._sound_known:
            logger.warning("%s: the server takes this stream only without its sound", self._name)
        self._sound_known = self._sound_known or sound or self._sound_refused


class RtspWire:
    """A :class:`~stream_client.publishing.wire.Wire` of RTSP. ``timeout`` in seconds bounds each step.

    ``insecure``: see :class:`~stream_client.rtsp.connection.RtspConnection`. Packets go within the connection, or by
    UDP to a server that refuses this (461), as ``transport`` remembers.
    """

    def __init__(self, url: str, transport: Transport, *, timeout: float = 5.0, insecure: bool = False) -> None:
        self._transport = transport
        self._connection = RtspConnection(url, timeout=timeout, insecure=insecure)
        self._video = RtpPacketiser()
        self._sound: SoundPacketiser | None = None
        self._udp: list[UdpSender] = []
        """Of the video, and of the sound."""
        self._next_report = self._next_sound_report = 0.0
        self._moment = 0.0, 0.0
        """A media time, in seconds, and seconds since 1970 of its capture."""

    @property
    def sound_rule(self) -> SoundRule | None:
        """AAC, Opus and G.711, where the server takes sound."""
        return _RULE if self._transport.sound else None

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Open the connection, with TLS for ``rtsps``, and begin to record a stream."""
        sets = parameter_sets(split_access_unit(first.data))
        if sets is None:
            raise RtspError("the encoder gave no parameter sets")
        if sound is not None:
            self._sound = SoundPacketiser(sound.codec, sound.rate, sound.channels, sound.parameters)
        try:
            self._begin(session_description(sets, _TITLE, track.frame_rate, self._sound_lines()), within)
        except RtspError as error:
            if error.status not in (0, *_NO_MATTER_OF_SOUND):
                self._transport.refused(sound=sound is not None)
            raise
        self._transport.taken(sound=sound is not None)
        self._next_report = self._next_sound_report = time.monotonic()

    def send(self, frame: PublishedFrame) -> int:
        """Send an access unit. Waits at most the timeout."""
        packets = list(self._video.packets(split_access_unit(frame.data), frame.time))
        self._moment = frame.time / CLOCK_RATE, frame.wall_clock
        now = time.monotonic()
        report = None
        if now >= self._next_report:
            report = self._video.sender_report(frame.time, frame.wall_clock)
            self._next_report = now + _REPORT_SECONDS
        size = self._send(0, packets, report)
        self._connection.discard_received()
        return size

    def send_sound(self, packet: SoundPacket) -> int:
        """Send sound. Waits at most the timeout."""
        assert self._sound is not None
        now = time.monotonic()
        report = None
        if now >= self._next_sound_report:  # the same moment as that of the video: so a viewer puts them together
            report = self._sound.sender_report(*self._moment)
            self._next_sound_report = now + _REPORT_SECONDS
        return self._send(1, list(self._sound.packets(packet.data, packet.time)), report)

    def queued(self) -> int | None:
        """Bytes in the kernel's buffer, of TCP or UDP."""
        return sum(each.queued() for each in self._udp) if self._udp else self._connection.queued()

    def close(self) -> None:
        """End the session where possible, and close the connection."""
        self._connection.close()
        for each in self._udp:
            each.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()

    def _sound_lines(self) -> list[str]:
        return [] if self._sound is None else self._sound.description()

    def _begin(self, description: str, within: float) -> None:
        connection = self._connection
        try:
            connection.begin("ANNOUNCE", {"Content-Type": "application/sdp"}, description.encode(), within)
        except RtspError as error:
            self._say_what_it_takes(error)
            raise
        self._set_up()
        connection.request("RECORD", connection.url, {"Range": "npt=0.000-"})

    def _send(self, track: int, packets: list[bytes], report: bytes | None) -> int:
        """Send packets of the video, 0, or the sound, 1; the bytes that they took."""
        if self._udp:
            size = self._udp[track].send(packets, report)
            self._connection.send(self._connection.keepalive())
            return size
        parts = [] if report is None else [interleaved(2 * track + 1, report)]
        parts += [interleaved(2 * track, packet) for packet in packets]
        data = b"".join([*parts, self._connection.keepalive()])
        self._connection.send(data)
        return len(data)

    def _set_up(self) -> None:
        try:
            self._set_up_by(0, _VIDEO_CONTROL, udp=self._transport.udp)
        except RtspError as error:
            if error.status != _UNSUPPORTED_TRANSPORT:
                raise
            self._set_up_by(0, _VIDEO_CONTROL, udp=not self._transport.udp)
            self._transport.change()
        if self._sound is not None:
            self._set_up_by(1, CONTROL, udp=self._transport.udp)

    def _set_up_by(self, track: int, control: str, *, udp: bool) -> None:
        connection = self._connection
        address = f"{connection.url}/{control}"
        if not udp:
            channels = f"interleaved={2 * track}-{2 * track + 1}"
            connection.request("SETUP", address, {"Transport": f"RTP/AVP/TCP;unicast;{channels};mode=record"})
            return
        sender = UdpSender(connection.peer)
        try:
            response = connection.request("SETUP", address, {"Transport": sender.transport})
            sender.take_answer(response.headers.get("transport", ""))
        except BaseException:
            sender.close()
            raise
        self._udp.append(sender)

    def _say_what_it_takes(self, refusal: RtspError) -> None:
        """Add to ``refusal`` that the server takes no streams at all, where it says so."""
        if refusal.status in (401, 403):
            return
        with contextlib.suppress(OSError, RtspError):
            response = self._connection.request("OPTIONS", self._connection.url, {})
            methods = {method.strip().upper() for method in response.headers.get("public", "").split(",")}
            if methods != {""} and "ANNOUNCE" not in methods:
                refusal.status = 501
