"""How far away a server is, and whether the line to it is full: measured once a second, beside the frames."""

import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from kserve_wire.names import method_path
from stream_client.errors import ConnectError
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.connection import NO_ANSWER, Connection
from stream_client.transport.options import TransportOptions

_TIMEOUT = 2.0
_HANDSHAKE_TIMEOUT = 1.0
"""Seconds. A stop waits for it."""
_RTT_END = 72
"""Where ``tcpi_rtt`` (µs) ends in Linux's ``struct tcp_info``. Unlike the clock here, it does not wait for a thread."""


@dataclass(frozen=True, slots=True)
class LineSample:
    """Seconds to the server and back, ``nan`` if unknown.

    ``request``: of a light request. ``handshake``: of TCP's handshake, as the system measures it: a full line makes it
    longer, a busy server does not. A proxy on the way answers it in the server's place. ``server`` is the address of
    one of several.
    """

    request: float = math.nan
    handshake: float = math.nan
    server: str = ""


UNKNOWN_LINE = LineSample()


Endpoint = tuple[socket.AddressFamily, Any]
"""A socket's family and address."""


def resolve(address: str) -> Endpoint | None:
    """Where to connect to for ``host:port``, if that is known."""
    if address.startswith("unix:"):
        return None
    host, _, port = address.rpartition(":")
    try:
        family, _, _, _, found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError):
        return None
    return family, found


def sample(channel: grpc.Channel, endpoint: Endpoint | None, timeout: float) -> LineSample:
    """Measure both; each takes ``timeout`` seconds at most."""
    handshake = math.nan if endpoint is None else _handshake(endpoint, min(timeout, _HANDSHAKE_TIMEOUT))
    return LineSample(_request(channel, timeout), handshake)


class LineProbe:
    """Measures the line to a server once a second, from a thread of its own, and reports it.

    Its connection carries no frames, so that it does not wait behind them inside gRPC.
    """

    INTERVAL = 1.0
    """Seconds between two measurements."""

    def __init__(
        self, options: TransportOptions, report: Callable[[LineSample], None], channels: Channels = OWN_CHANNELS
    ) -> None:
        self._address = options.address
        self._connection = Connection(options, channels)
        self._report = report
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line probe", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and its connection; safe before :meth:`start`."""
        self._ended.set()
        self._connection.interrupt()
        self._connection.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._measure(self._connection.open(), resolve(self._address))
            except ConnectError:  # the run itself says so
                self._ended.wait(self.INTERVAL)
            finally:
                self._connection.close()

    def _measure(self, channel: grpc.Channel, endpoint: Endpoint | None) -> None:
        """Measure until the end, or until no answer comes."""
        while not self._ended.wait(self.INTERVAL):
            found = sample(channel, endpoint, _TIMEOUT)
            if math.isnan(found.request):
                return
            self._report(found)


def _request(channel: grpc.Channel, timeout: float) -> float:
    """Any answer will do."""
    live: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ServerLive"))
    started = time.monotonic()
    try:
        live(b"", timeout=timeout)
    except grpc.RpcError as error:
        if error.code() in NO_ANSWER:  # type: ignore[attr-defined,unused-ignore]
            return math.nan
    except ValueError:  # the channel is closed
        return math.nan
    return time.monotonic() - started


def _handshake(endpoint: Endpoint, timeout: float) -> float:
    family, address = endpoint
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            started = time.monotonic()
            connection.connect(address)
            seconds = time.monotonic() - started
            if hasattr(socket, "TCP_INFO"):
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_END)
                if len(info) == _RTT_END:
                    return float(struct.unpack_from("=I", info, _RTT_END - 4)[0]) / 1e6
            return seconds
    except OSError:
        return math.nan
