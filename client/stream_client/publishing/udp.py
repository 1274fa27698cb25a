"""MPEG-TS by UDP, to one receiver or a multicast group."""

import socket
import struct
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError
from stream_client.publishing.mpegts import DATAGRAM, SOUND_RULE, TransportStream
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.util.datagrams import is_multicast, url_parameters
from stream_client.util.send_queue import SendQueue

_PARAMETERS = {"interface", "ttl"}


def check_udp_url(url: str) -> None:
    """Raise :class:`.ConfigurationError` for a URL without a port, or with unknown parameters.

    A multicast group needs ``?interface``: else the system's routing would choose the network that gets the stream.
    """
    parts, given = urlsplit(url), url_parameters(url)
    unknown = given.keys() - _PARAMETERS
    if parts.port is None or unknown:
        what = f"unknown {', '.join(sorted(unknown))}" if unknown else "no port"
        raise ConfigurationError(
            f"udp:// with {what}: udp://host:port, for multicast with ?interface=ADDRESS and &ttl=N",
            option="sinks",
        )
    if not given.get("ttl", "1").isdecimal() or not 1 <= int(given.get("ttl", "1")) <= 255:
        raise ConfigurationError("ttl is a number from 1 to 255", option="sinks")
    if is_multicast(parts.hostname or "") and "interface" not in given:
        raise ConfigurationError(
            "a multicast group needs the address of this machine in its network: ?interface=ADDRESS",
            option="sinks",
        )


class UdpWire:
    """Sends datagrams. Nobody answers, so the line is followed only as far as this machine's own queue."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._parameters = url_parameters(url)
        self._socket: socket.socket | None = None
        self._queue: SendQueue | None = None
        self._stream: TransportStream | None = None

    sound_rule: SoundRule | None = SOUND_RULE

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Find the address; nothing is sent yet."""
        family, kind, _, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind)
        interface = self._parameters.get("interface")
        if interface is not None and family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
            ttl = int(self._parameters.get("ttl", "1"))
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("B", ttl))
        self._address = address
        self._queue = SendQueue(self._socket)
        self._stream = TransportStream(sound)

    def send(self, frame: PublishedFrame) -> int:
        """Send a frame."""
        assert self._stream is not None
        return self._put(self._stream.mux(frame))

    def send_sound(self, packet: SoundPacket) -> int:
        """Send sound."""
        assert self._stream is not None
        return self._put(self._stream.mux_sound(packet))

    def queued(self) -> int | None:
        """Bytes that this machine has not put on the line yet."""
        return None if self._queue is None else self._queue.size()

    def close(self) -> None:
        """Release the socket."""
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """Nothing waits here."""

    def _put(self, data: bytes) -> int:
        assert self._socket is not None
        for start in range(0, len(data), DATAGRAM):
            self._socket.sendto(data[start : start + DATAGRAM], self._address)
        return len(data)
