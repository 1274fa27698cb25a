"""Publishes one H.264 track: ANNOUNCE, SETUP, RECORD, packets, TEARDOWN."""

import math
import time

from stream_client.errors import RtspError
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.h264 import RtpPacketiser, parameter_sets, session_description
from stream_client.rtsp.messages import interleaved

_REPORT_SECONDS = 5.0


class Publisher:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step.

    Raises :class:`RtspError` for refusals and :class:`OSError` (timeouts, TLS) for the rest.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        self._connection = RtspConnection(url, timeout=timeout)
        self._packetiser = RtpPacketiser()
        self._next_report = 0.0

    def connect(self, within: float = math.inf) -> None:
        """Open the connection, with TLS for ``rtsps``; ``within`` bounds this and :meth:`announce`, in seconds."""
        self._connection.connect(within)

    def announce(self, units: list[bytes], title: str) -> None:
        """Begin to record a stream; ``units`` is its first access unit, with the parameter sets."""
        sets = parameter_sets(units)
        if sets is None:
            raise RtspError("the encoder gave no parameter sets")
        connection = self._connection
        description = session_description(sets, title).encode()
        connection.request("ANNOUNCE", connection.url, {"Content-Type": "application/sdp"}, description)
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}
        connection.request("SETUP", f"{connection.url}/streamid=0", transport)
        connection.request("RECORD", connection.url, {"Range": "npt=0.000-"})
        self._next_report = time.monotonic()

    def send(self, units: list[bytes], presentation: int) -> None:
        """Send an access unit; ``presentation`` in ticks of 90 kHz. Waits at most the timeout."""
        parts = [interleaved(0, packet) for packet in self._packetiser.packets(units, presentation)]
        now = time.monotonic()
        if now >= self._next_report:
            parts.append(interleaved(1, self._packetiser.sender_report(presentation, time.time())))
            self._next_report = now + _REPORT_SECONDS
        self._connection.send(b"".join([*parts, self._connection.keepalive()]))
        self._connection.discard_received()

    def close(self) -> None:
        """End the session where possible, and close the connection."""
        self._connection.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()
