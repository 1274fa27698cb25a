"""RTP and RTCP of a publication by UDP, for servers that do not take them within the connection."""

import contextlib
import re
import socket
from collections.abc import Sequence
from typing import Any

from stream_client.errors import RtspError
from stream_client.util.send_queue import SendQueue

_PORTS = re.compile(r"server_port=([0-9]{1,5})(?:-([0-9]{1,5}))?")
_ATTEMPTS = 20


class UdpSender:
    """A pair of ports, and the pair of ``peer`` that packets go to. One thread uses it."""

    def __init__(self, peer: tuple[Any, ...]) -> None:
        family = socket.AF_INET6 if len(peer) > 2 else socket.AF_INET
        self._peer = peer
        self._rtp, self._rtcp, self._port = port_pair(family)
        self._to = (self._at(self._port), self._at(self._port + 1))
        self._queue = SendQueue(self._rtp)

    @property
    def transport(self) -> str:
        """The value of ``Transport`` that asks for UDP."""
        return f"RTP/AVP;unicast;client_port={self._port}-{self._port + 1};mode=record"

    def take_answer(self, transport: str) -> None:
        """The server's ``Transport`` names its ports. Without them packets go to the ports that it was offered.

        An address of its own (``source=``) is not followed: it would let a server aim the stream at others.
        """
        ports = _PORTS.search(transport)
        if ports is not None:
            first = int(ports[1])
            last = int(ports[2]) if ports[2] else first + 1
            if not (0 < first < 65_536 and 0 < last < 65_536):
                raise RtspError(f"the server names the ports {ports[0]}")
            self._to = (self._at(first), self._at(last))

    def send(self, packets: Sequence[bytes], report: bytes | None) -> int:
        """Send packets, and a report if there is one; the bytes that they took."""
        for packet in packets:
            self._rtp.sendto(packet, self._to[0])
        if report is not None:
            self._rtcp.sendto(report, self._to[1])
        return sum(map(len, packets))

    def queued(self) -> int:
        """Bytes that this machine has not put on the line yet."""
        return self._queue.size()

    def close(self) -> None:
        """Give the ports back."""
        self._rtp.close()
        self._rtcp.close()

    def _at(self, port: int) -> tuple[Any, ...]:
        return (self._peer[0], port, *self._peer[2:])


def port_pair(family: socket.AddressFamily) -> tuple[socket.socket, socket.socket, int]:
    """Sockets at an even port and the one after it (RFC 3550, 11)."""
    for _ in range(_ATTEMPTS):
        first, second = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            first.bind(("", 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                second.bind(("", port + 1))
                return first, second, port
        first.close()
        second.close()
    raise OSError("no pair of free UDP ports")
