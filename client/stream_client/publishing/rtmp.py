"""RTMP and RTMPS as a wire: nginx-rtmp, mediamtx, and the services that take a stream key."""

import contextlib

from stream_client.errors import OutputRefusedError, RtmpError
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtmp.address import rtmp_address
from stream_client.rtmp.publication import Publication
from stream_client.rtsp.h264 import CLOCK_RATE, parameter_sets, split_access_unit
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import LIVE_SILENCE, SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.util.tcp_connection import TcpConnection

_RULE = SoundRule(frozenset({"aac"}), "aac", channels=2, silence=LIVE_SILENCE)
_DELIMITER = 9
_TICKS = 90
"""A millisecond in ticks of 90 kHz."""


class RtmpWire:
    """One connection. ``timeout`` in seconds bounds connecting, and each send."""

    def __init__(self, url: str, *, timeout: float, insecure: bool) -> None:
        address = rtmp_address(url)
        self._connection = TcpConnection(
            address.host, address.port, tls=address.tls, insecure=insecure, timeout=timeout
        )
        self._publication = Publication(address)
        self._start = -1

    sound_rule: SoundRule | None = _RULE

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Connect, shake hands, and ask to publish."""
        sets = parameter_sets(split_access_unit(first.data))
        if sets is None:
            raise OutputRefusedError("the encoder gave no parameter sets")
        connection, publication = self._connection, self._publication
        connection.connect(within)
        connection.send(publication.begin())
        try:
            while not publication.ready:
                connection.send(self._receive(connection.receive()))
        except ConnectionError as error:
            raise OutputRefusedError(
                "the server closed the connection: it may not know the application, or refuse the stream key"
            ) from error
        connection.established()
        size = track.shape.width, track.shape.height
        configuration = None if sound is None else sound.parameters
        connection.send(publication.header(sets, size, track.frame_rate, configuration))

    def send(self, frame: PublishedFrame) -> int:
        """Send a frame. Waits at most the timeout."""
        if self._start < 0:
            self._start = frame.time
        units = [unit for unit in split_access_unit(frame.data) if unit[0] & 0x1F != _DELIMITER]
        data = self._publication.frame(units, key=frame.key, time=(frame.time - self._start) // _TICKS)
        self._connection.send(data)
        if answer := self._receive(self._connection.received()):
            self._connection.send(answer)
        return len(data)

    def send_sound(self, packet: SoundPacket) -> int:
        """Send sound. Waits at most the timeout."""
        ticks = round(packet.time * CLOCK_RATE) - self._start
        data = self._publication.sound(packet.data, time=max(0, ticks // _TICKS))
        self._connection.send(data)
        return len(data)

    def queued(self) -> int | None:
        """Bytes that the server's side has not acknowledged."""
        return self._connection.queued()

    def close(self) -> None:
        """Say good-bye where possible, and close the connection."""
        if self._publication.ready:
            with contextlib.suppress(OSError):
                self._connection.send(self._publication.end())
        self._connection.close()

    def _receive(self, data: bytes) -> bytes:
        try:
            return self._publication.receive(data)
        except RtmpError as error:
            raise OutputRefusedError(error.message) from error

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()
