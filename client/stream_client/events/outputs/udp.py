"""Events as datagrams: quick, and without knowing whether they arrive."""

import json
import socket
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError, MessageRefusedError
from stream_client.events.event import Message
from stream_client.events.rules import Rule
from stream_client.util.urls import check_url

_LONGEST = 65_507
"""Bytes of a datagram over IPv4."""


class UdpOutput:
    """Sends each message once, as one datagram of JSON."""

    def __init__(self, url: str) -> None:
        check_url(url, "events_output")
        parts = urlsplit(url)
        if parts.port is None:
            raise ConfigurationError(f"{url}: name the port, as in udp://host:5005", option="events_output")
        self.name = url
        self._address = (str(parts.hostname), parts.port)
        self._socket: socket.socket | None = None

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Nothing to announce."""

    def expect(self, message: Message) -> None:
        """Nothing to do."""

    def send(self, message: Message) -> None:
        """Send a datagram."""
        data = json.dumps(message, ensure_ascii=False).encode()
        if len(data) > _LONGEST:
            raise MessageRefusedError(f"{len(data)} bytes do not fit into a datagram")
        if self._socket is None:
            family, kind, protocol, _, _ = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
        self._socket.sendto(data, self._address)

    def abort(self) -> None:
        """Nothing waits here but a name server."""

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
