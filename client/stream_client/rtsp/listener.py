"""One RTP stream that is sent to an address of this machine, without a server to ask for it."""

import contextlib
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from stream_client.rtsp.reorder import ReorderBuffer

_HEADER_BYTES = 12
_BUFFER_BYTES = 4 << 20
"""For the packets of a large key frame, which come at once. Systems may give less."""
_MOST_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Place:
    """Where datagrams come to: an own ``address``, or a multicast ``group`` that is joined at it. ``port`` is RTP's.

    ``sender``: the only address that they may come from, empty for any.
    """

    address: str
    port: int
    group: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A packet of RTP, or of RTCP (``report``). ``source`` is the stream's SSRC."""

    data: bytes
    source: int
    report: bool = False


class RtpListener:
    """Used by one thread, but for :meth:`abort`. ``timeout``, in seconds, bounds each wait.

    It follows one sender (SSRC). Another one's packets are left out until the first has been silent for
    :attr:`SILENT` seconds: a sender that is started again is another one.
    """

    SILENT = 0.5
    REORDER = 0.05
    """Seconds that a packet is waited for once a later one is there."""

    def __init__(self, place: Place, *, timeout: float) -> None:
        self._place = place
        self._timeout = timeout
        self._sockets: list[socket.socket] = []
        self._wake, self._waker = socket.socketpair()
        self._source: int | None = None
        self._last = 0.0
        self._reorder = ReorderBuffer(self.REORDER)

    def open(self) -> None:
        """Listen; raises :class:`OSError`."""
        self._sockets.append(self._listening(self._place.port))
        with contextlib.suppress(OSError):  # reports are not needed
            self._sockets.append(self._listening(self._place.port + 1))

    def datagrams(self) -> Iterator[Datagram]:
        """The sender's packets in order, until :meth:`abort`; raises :class:`TimeoutError`."""
        rtp, *rtcp = self._sockets
        silence_end = time.monotonic() + self._timeout
        with selectors.DefaultSelector() as selector:
            for each in (self._wake, *self._sockets):
                selector.register(each, selectors.EVENT_READ)
            while True:
                until = min(silence_end, self._reorder.deadline())
                ready = {key.fileobj for key, _ in selector.select(max(0.0, until - time.monotonic()))}
                now = time.monotonic()
                if self._wake in ready:
                    return
                for each in rtcp:
                    yield from self._reports(each)
                for data in self._received(rtp):
                    if self._follows(data, now):
                        silence_end = now + self._timeout
                        yield from self._in_order(self._reorder.push(int.from_bytes(data[2:4], "big"), data, now))
                yield from self._in_order(self._reorder.expired(now))
                if now >= silence_end:
                    raise TimeoutError("no packet came")

    def abort(self) -> None:
        """End a wait; called from another thread."""
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def close(self) -> None:
        """Give the ports back."""
        for each in (*self._sockets, self._wake, self._waker):
            each.close()

    def _follows(self, data: bytes, now: float) -> bool:
        """Whether a datagram is a packet of the stream; one of another sender may begin a new stream."""
        if len(data) < _HEADER_BYTES or data[0] >> 6 != 2:
            return False
        source = int.from_bytes(data[8:12], "big")
        if source != self._source:
            if self._source is not None and now - self._last < self.SILENT:
                return False
            self._source, self._reorder = source, ReorderBuffer(self.REORDER)
        self._last = now
        return True

    def _in_order(self, packets: list[bytes]) -> Iterator[Datagram]:
        return (Datagram(packet, int.from_bytes(packet[8:12], "big")) for packet in packets)

    def _reports(self, rtcp: socket.socket) -> Iterator[Datagram]:
        for data in self._received(rtcp):
            source = int.from_bytes(data[4:8], "big")
            if len(data) >= 8 and source == self._source:
                yield Datagram(data, source, report=True)

    def _received(self, receiver: socket.socket) -> Iterator[bytes]:
        """What has come, without waiting."""
        for _ in range(_MOST_AT_ONCE):
            try:
                data, sender = receiver.recvfrom(65_536)
            except (BlockingIOError, ConnectionError):
                return
            if not self._place.sender or str(sender[0]) == self._place.sender:
                yield data

    def _listening(self, port: int) -> socket.socket:
        place = self._place
        made = socket.socket(socket.AF_INET6 if ":" in place.address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            with contextlib.suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            if place.group:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a group may have several members here
                # Windows refuses a group's address.
                made.bind(("" if sys.platform == "win32" else place.group, port))
                member = socket.inet_aton(place.group) + socket.inet_aton(place.address)
                made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            else:
                made.bind((place.address, port))
        except OSError:
            made.close()
            raise
        return made
