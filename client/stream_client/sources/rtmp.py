"""RTMP and RTMPS as inputs: a client of our own, whose FLV FFmpeg demuxes."""

import time

from stream_client.errors import (
    RtmpError,
    SourceAuthenticationError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
)
from stream_client.rtmp.address import rtmp_address
from stream_client.rtmp.playback import Playback
from stream_client.util.redact import redact
from stream_client.util.tcp_connection import TcpConnection

_REJECTED = "NetConnection.Connect.Rejected"
_NOT_THERE = ("NetStream.Play.StreamNotFound", "NetStream.Play.BadName", "NetConnection.Connect.InvalidApp")


class RtmpStream:
    """A :class:`~stream_client.sources.carrier.Carrier`. ``timeout``, in seconds, bounds each step and each silence."""

    container = "flv"

    def __init__(self, url: str, *, timeout: float, insecure: bool) -> None:
        address = rtmp_address(url)
        self._name = redact(url)
        self._timeout = timeout
        self._connection = TcpConnection(
            address.host, address.port, tls=address.tls, insecure=insecure, timeout=timeout
        )
        self._playback = Playback(address)
        self._flv = b""
        self._begun = False

    def open(self) -> None:
        """Connect, shake hands, and ask for the stream."""
        self._connection.connect(self._timeout)
        self._connection.send(self._playback.begin())
        try:
            while not self._playback.ready:
                self._answer(self._connection.receive())
        except ConnectionError as error:
            raise self._closed() from error

    def read(self, size: int) -> bytes:
        """What has come of the stream."""
        silence_end = time.monotonic() + self._timeout
        while not self._flv:
            data = b"" if self._playback.ended else self._wait()
            if not data and not self._begun:
                raise self._closed()
            if not data:
                return b""
            self._answer(data)
            self._flv = self._playback.flv()
            if not self._flv and time.monotonic() > silence_end:  # pings are no stream
                raise self._silent()
        self._begun = True
        data, self._flv = self._flv[:size], self._flv[size:]
        return data

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def abort(self) -> None:
        """Make a wait fail now."""
        self._connection.abort()

    def _wait(self) -> bytes:
        try:
            return self._connection.wait()
        except TimeoutError:
            raise self._silent() from None

    def _silent(self) -> SourceTimeoutError:
        return SourceTimeoutError(f"{self._name}: nothing came for {self._timeout:g} s: does somebody publish there?")

    def _closed(self) -> SourceError:
        return SourceError(
            f"{self._name}: the server closed the connection: it may not know the application or the stream, or want "
            "credentials, as ?user=NAME&pass=WORD"
        )

    def _answer(self, data: bytes) -> None:
        try:
            answer = self._playback.receive(data)
        except RtmpError as error:
            kind = SourceNotFoundError if error.code in _NOT_THERE else SourceError
            if error.code == _REJECTED:
                kind = SourceAuthenticationError
            raise kind(f"{self._name}: {redact(error.message)}") from error
        if answer:
            self._connection.send(answer)
