"""Where connections get their channels: one for each, or one that many share."""

import threading
from dataclasses import dataclass
from typing import Protocol

import grpc

from stream_client.transport.channel import make_channel
from stream_client.transport.options import TlsOptions, TransportOptions

CLOSE_SECONDS = 0.5
"""To close a channel. gRPC waits for data that is being written. If the server has stopped reading, that takes until
the keepalive fails.
"""


class Channels(Protocol):
    """Safe from any thread."""

    def take(self, options: TransportOptions) -> grpc.Channel:
        """A channel to the server of ``options``; raises :class:`.ConfigurationError` for its TLS files."""

    def give_back(self, channel: grpc.Channel, *, broken: bool) -> None:
        """The taker uses it no more; ``broken``: the server does not answer on it."""


class OwnChannels:
    """Each taker has a channel of its own."""

    def take(self, options: TransportOptions) -> grpc.Channel:
        """A new one."""
        return make_channel(options)

    def give_back(self, channel: grpc.Channel, *, broken: bool) -> None:
        """Close it."""
        _close(channel)


OWN_CHANNELS = OwnChannels()


@dataclass(slots=True)
class _Shared:
    channel: grpc.Channel
    users: int = 0


class SharedChannels:
    """Those who take a channel to the same server, with the same TLS, have the same one. The last one closes it.

    A broken one is taken no more: its TCP connection may be dead, while a new one would work. A channel has
    ``most`` users: servers and proxies bound the calls of a connection, often to 100, and a session that had to wait
    for another one's end would never begin.
    """

    MOST = 64

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: dict[tuple[str, TlsOptions | None], list[_Shared]] = {}
        self._taken: dict[grpc.Channel, _Shared] = {}

    def take(self, options: TransportOptions) -> grpc.Channel:
        """The one that others use, if there is one with room for another user."""
        with self._lock:
            offered = self._open.setdefault((options.address, options.tls), [])
            shared = next((each for each in offered if each.users < self._most), None)
            if shared is None:
                shared = _Shared(make_channel(options))
                offered.append(shared)
                self._taken[shared.channel] = shared
            shared.users += 1
            return shared.channel

    def give_back(self, channel: grpc.Channel, *, broken: bool) -> None:
        """Close it after its last user."""
        with self._lock:
            shared = self._taken[channel]
            shared.users -= 1
            if broken or not shared.users:
                self._open = {
                    key: left
                    for key, each in self._open.items()
                    if (left := [one for one in each if one is not shared])
                }
            if shared.users:
                return
            del self._taken[channel]
        _close(channel)


def _close(channel: grpc.Channel) -> None:
    closer = threading.Thread(target=channel.close, name="channel closer", daemon=True)
    closer.start()
    closer.join(CLOSE_SECONDS)
