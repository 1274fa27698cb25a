"""Publishes one H.264 track: ANNOUNCE, SETUP, RECORD, packets, TEARDOWN."""

import contextlib
import logging
import time

from stream_client.errors import RtspError
from stream_client.publishing.wire import EncodedFrame, VideoTrack
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.h264 import RtpPacketiser, parameter_sets, session_description, split_access_unit
from stream_client.rtsp.messages import interleaved
from stream_client.rtsp.udp_sender import UdpSender

_REPORT_SECONDS = 5.0
_UNSUPPORTED_TRANSPORT = 461
_TITLE = "ovms-stream-client"

logger = logging.getLogger(__name__)


class Transport:
    """How packets go to one server, kept from one connection to the next. ``name`` is the output's in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.udp = False

    def change(self) -> None:
        """The server wants the other one."""
        self.udp = not self.udp
        how, not_how = ("UDP, where frames can be lost", "TCP") if self.udp else ("TCP", "UDP")
        logger.warning("%s: the server takes no stream by %s, so it is sent by %s", self._name, not_how, how)


class RtspWire:
    """A :class:`~stream_client.publishing.wire.Wire` of RTSP. ``timeout`` in seconds bounds each step.

    ``insecure``: see :class:`~stream_client.rtsp.connection.RtspConnection`. Packets go within the connection, or by
    UDP to a server that refuses this (461), as ``transport`` remembers.
    """

    def __init__(self, url: str, transport: Transport, *, timeout: float = 5.0, insecure: bool = False) -> None:
        self._transport = transport
        self._connection = RtspConnection(url, timeout=timeout, insecure=insecure)
        self._packetiser = RtpPacketiser()
        self._udp: UdpSender | None = None
        self._next_report = 0.0

    def open(self, track: VideoTrack, first: EncodedFrame, within: float) -> None:
        """Open the connection, with TLS for ``rtsps``, and begin to record a stream."""
        sets = parameter_sets(split_access_unit(first.data))
        if sets is None:
            raise RtspError("the encoder gave no parameter sets")
        connection = self._connection
        description = session_description(sets, _TITLE, track.frame_rate).encode()
        try:
            connection.begin("ANNOUNCE", {"Content-Type": "application/sdp"}, description, within)
        except RtspError as error:
            self._say_what_it_takes(error)
            raise
        self._set_up()
        connection.request("RECORD", connection.url, {"Range": "npt=0.000-"})
        self._next_report = time.monotonic()

    def send(self, frame: EncodedFrame) -> int:
        """Send an access unit. Waits at most the timeout."""
        packets = list(self._packetiser.packets(split_access_unit(frame.data), frame.time))
        now = time.monotonic()
        report = None
        if now >= self._next_report:
            report = self._packetiser.sender_report(frame.time, frame.wall_clock)
            self._next_report = now + _REPORT_SECONDS
        if self._udp is not None:
            size = self._udp.send(packets, report)
            self._connection.send(self._connection.keepalive())
        else:
            parts = [] if report is None else [interleaved(1, report)]
            parts += [interleaved(0, packet) for packet in packets]
            data = b"".join([*parts, self._connection.keepalive()])
            self._connection.send(data)
            size = len(data)
        self._connection.discard_received()
        return size

    def queued(self) -> int | None:
        """Bytes in the kernel's buffer, of TCP or UDP."""
        return self._connection.queued() if self._udp is None else self._udp.queued()

    def close(self) -> None:
        """End the session where possible, and close the connection."""
        self._connection.close()
        if self._udp is not None:
            self._udp.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()

    def _set_up(self) -> None:
        try:
            self._set_up_by(udp=self._transport.udp)
        except RtspError as error:
            if error.status != _UNSUPPORTED_TRANSPORT:
                raise
            self._set_up_by(udp=not self._transport.udp)
            self._transport.change()

    def _set_up_by(self, *, udp: bool) -> None:
        connection = self._connection
        control = f"{connection.url}/streamid=0"
        if not udp:
            connection.request("SETUP", control, {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"})
            return
        sender = UdpSender(connection.peer)
        try:
            response = connection.request("SETUP", control, {"Transport": sender.transport})
            sender.take_answer(response.headers.get("transport", ""))
        except BaseException:
            sender.close()
            raise
        self._udp = sender

    def _say_what_it_takes(self, refusal: RtspError) -> None:
        """Add to ``refusal`` that the server takes no streams at all, where it says so."""
        if refusal.status in (401, 403):
            return
        with contextlib.suppress(OSError, RtspError):
            response = self._connection.request("OPTIONS", self._connection.url, {})
            methods = {method.strip().upper() for method in response.headers.get("public", "").split(",")}
            if methods != {""} and "ANNOUNCE" not in methods:
                refusal.status = 501
