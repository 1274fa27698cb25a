"""RTP that is sent to addresses of this machine, without a server to ask for it."""

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
    """A packet of RTP, or of RTCP (``report``). ``source`` is the stream's SSRC, ``place`` where it came to."""

    data: bytes
    source: int
    place: Place
    report: bool = False


class RtpListener:
    """Used by one thread, but for :meth:`abort`. ``timeout``, in seconds, bounds each wait for the first of ``places``.

    At each place it follows one sender (SSRC). Another one's packets are left out until the first has been silent for
    :attr:`SILENT` seconds: a sender that is started again is another one.
    """

    SILENT = 0.5
    REORDER = 0.05
    """Seconds that a packet is waited for once a later one is there."""

    def __init__(self, *places: Place, timeout: float) -> None:
        self._timeout = timeout
        self._streams = [_Stream(place) for place in places]
        self._wake, self._waker = socket.socketpair()

    def open(self) -> None:
        """Listen; raises :class:`OSError` where that is impossible at the first place. Others are left out then."""
        first, *others = self._streams
        first.open()
        for stream in others:
            with contextlib.suppress(OSError):
                stream.open()

    def datagrams(self) -> Iterator[Datagram]:
        """The senders' packets, those of each in order, until :meth:`abort`; raises :class:`TimeoutError`."""
        first = self._streams[0]
        first.last = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            for stream in self._streams:
                for each in stream.sockets:
                    selector.register(each, selectors.EVENT_READ)
            while True:
                until = min(first.last + self._timeout, *(stream.reorder.deadline() for stream in self._streams))
                ready = {key.fileobj for key, _ in selector.select(max(0.0, until - time.monotonic()))}
                now = time.monotonic()
                if self._wake in ready:
                    return
                for stream in self._streams:
                    yield from stream.take(now)
                if now >= first.last + self._timeout:
                    raise TimeoutError("no packet came")

    def abort(self) -> None:
        """End a wait; called from another thread."""
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def close(self) -> None:
        """Give the ports back."""
        for stream in self._streams:
            for each in stream.sockets:
                each.close()
        self._wake.close()
        self._waker.close()


class _Stream:
    """What comes to one place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.sockets: list[socket.socket] = []
        self.reorder = ReorderBuffer(RtpListener.REORDER)
        self.last = 0.0
        """When a packet came."""
        self._source: int | None = None

    def open(self) -> None:
        self.sockets.append(self._listening(self._place.port))
        with contextlib.suppress(OSError):  # reports are not needed
            self.sockets.append(self._listening(self._place.port + 1))

    def take(self, now: float) -> Iterator[Datagram]:
        """What is there, without waiting."""
        if not self.sockets:
            return
        rtp, *rtcp = self.sockets
        for each in rtcp:
            yield from self._reports(each)
        for data in self._received(rtp):
            if self._follows(data, now):
                yield from self._in_order(self.reorder.push(int.from_bytes(data[2:4], "big"), data, now))
        yield from self._in_order(self.reorder.expired(now))

    def _follows(self, data: bytes, now: float) -> bool:
        """Whether a datagram is a packet of the stream; one of another sender may begin a new stream."""
        if len(data) < _HEADER_BYTES or data[0] >> 6 != 2:
            return False
        source = int.from_bytes(data[8:12], "big")
        if source != self._source:
            if self._source is not None and now - self.last < RtpListener.SILENT:
                return False
            self._source, self.reorder = source, ReorderBuffer(RtpListener.REORDER)
        self.last = now
        return True

    def _in_order(self, packets: list[bytes]) -> Iterator[Datagram]:
        return (Datagram(packet, int.from_bytes(packet[8:12], "big"), self._place) for packet in packets)

    def _reports(self, rtcp: socket.socket) -> Iterator[Datagram]:
        for data in self._received(rtcp):
            source = int.from_bytes(data[4:8], "big")
            if len(data) >= 8 and source == self._source:
                yield Datagram(data, source, self._place, report=True)

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
