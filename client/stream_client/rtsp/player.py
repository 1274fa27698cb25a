"""Plays one H.264 track over TCP: DESCRIBE, SETUP, PLAY, packets, TEARDOWN."""

import re
from collections.abc import Iterator

from stream_client.errors import RtspError
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.depacketiser import AccessUnit, Depacketiser
from stream_client.rtsp.description import H264Track, h264_track
from stream_client.rtsp.messages import Packet
from stream_client.rtsp.reports import SenderReport, says_bye, sender_report

_CHANNELS = re.compile(r"interleaved=([0-9]{1,3})\b")


class Player:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step and each wait for data.

    Raises :class:`RtspError` for refusals and :class:`OSError` (timeouts) for the rest.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._connection = RtspConnection(url, timeout=timeout)
        self._channel = 0
        self._depacketiser: Depacketiser | None = None
        self._report: SenderReport | None = None

    def describe(self) -> H264Track | None:
        """Connect; the first video track, ``None`` where it is not H.264 that we can read."""
        connection = self._connection
        connection.connect()
        response = connection.request("DESCRIBE", connection.url, {"Accept": "application/sdp"})
        headers = response.headers
        base = headers.get("content-base") or headers.get("content-location") or connection.url
        return h264_track(response.body.decode("utf-8", "replace"), base)

    def play(self, track: H264Track) -> None:
        """Ask for ``track``'s packets."""
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        response = self._connection.request("SETUP", track.control, transport)
        channels = _CHANNELS.search(response.headers.get("transport", ""))
        if channels is None:
            raise RtspError("the server does not send packets within the connection")
        self._channel = int(channels[1])
        self._connection.request("PLAY", track.presentation, {"Range": "npt=0.000-"})

    def access_units(self, track: H264Track) -> Iterator[AccessUnit]:
        """Each access unit as soon as it is complete, until the server ends the stream."""
        depacketiser = self._depacketiser = Depacketiser(track.payload_type)
        while True:
            try:
                message = self._connection.receive()
            except RtspError:  # a request of the server, or a fault of it
                self._connection.skip_to_packet()
                continue
            if isinstance(message, Packet):
                if message.channel == self._channel:
                    yield from depacketiser.take(message.data)
                elif message.channel == self._channel + 1:
                    self._report = sender_report(message.data) or self._report
                    if says_bye(message.data):
                        return
            if keepalive := self._connection.keepalive():
                self._connection.send(keepalive)

    def capture_time(self, time: int, clock_rate: int) -> int | None:
        """When the server's clock captured the access unit of that time: µs since 1970, ``None`` where it never said.

        The server says it in its sender reports, the first of which may come seconds after the first frame.
        """
        if self._report is None or self._depacketiser is None:
            return None
        ticks = time - self._depacketiser.time_of(self._report.timestamp)
        return self._report.time + round(ticks * 1_000_000 / clock_rate)

    def close(self) -> None:
        """End the session where possible, and close the connection."""
        self._connection.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()
