"""RTP and RTCP of a stream that is played by UDP."""

import contextlib
import re
import socket
from collections.abc import Iterator
from typing import Any

from stream_client.rtsp.udp_sender import port_pair

_PORTS = re.compile(r"server_port=([0-9]{1,5})(?:-([0-9]{1,5}))?")
_SOURCE = re.compile(r"source=([0-9A-Fa-f.:]+)")
_BUFFER_BYTES = 4 << 20
"""For the packets of a large key frame, which come at once. Systems may give less."""
_MOST_AT_ONCE = 256


class UdpReceiver:
    """A pair of ports. Takes packets of ``peer``, the server's socket address, alone. One thread uses it."""

    def __init__(self, peer: tuple[Any, ...]) -> None:
        family = socket.AF_INET6 if len(peer) > 2 else socket.AF_INET
        self._peer = peer
        self._hosts = {str(peer[0])}
        self.rtp, self.rtcp, self._port = port_pair(family)
        self._to: tuple[int, int] | None = None
        for receiver in (self.rtp, self.rtcp):
            receiver.setblocking(False)
        with contextlib.suppress(OSError):
            self.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)

    @property
    def transport(self) -> str:
        """The value of ``Transport`` that asks for UDP."""
        return f"RTP/AVP;unicast;client_port={self._port}-{self._port + 1}"

    def take_answer(self, transport: str) -> None:
        """The server's ``Transport`` names its ports, and where it sends from if that is another address."""
        if source := _SOURCE.search(transport):
            self._hosts.add(source[1])
        if ports := _PORTS.search(transport):
            first = int(ports[1])
            last = int(ports[2]) if ports[2] else first + 1
            if 0 < first < 65_536 and 0 < last < 65_536:
                self._to = (first, last)
        self._open_the_way()

    def receive(self, receiver: socket.socket) -> Iterator[bytes]:
        """What has come at one of the ports, without waiting."""
        for _ in range(_MOST_AT_ONCE):
            try:
                data, sender = receiver.recvfrom(65_536)
            except BlockingIOError:
                return
            except ConnectionError:  # a port of the server that nobody listens at
                continue
            if str(sender[0]) in self._hosts:
                yield data

    def send_report(self, report: bytes) -> None:
        """Send an RTCP packet to the server."""
        if self._to is not None:
            with contextlib.suppress(OSError):
                self.rtcp.sendto(report, self._at(self._to[1]))

    def close(self) -> None:
        """Give the ports back."""
        self.rtp.close()
        self.rtcp.close()

    def _open_the_way(self) -> None:
        """A packet without content to each port of the server: firewalls and routers let the answers in."""
        if self._to is None:
            return
        for sender, port, packet in (
            (self.rtp, self._to[0], b"\x80\x00" + bytes(10)),
            (self.rtcp, self._to[1], b"\x80\xc9\x00\x01" + bytes(4)),
        ):
            with contextlib.suppress(OSError):
                sender.sendto(packet, self._at(port))

    def _at(self, port: int) -> tuple[Any, ...]:
        return (self._peer[0], port, *self._peer[2:])
