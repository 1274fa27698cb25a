"""MPEG-TS by SRT as an input, by libsrt."""

from urllib.parse import urlsplit

from stream_client.errors import (
    ConfigurationError,
    SourceAuthenticationError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
)
from stream_client.sources.libsrt import SrtSocket, has_srt
from stream_client.util.datagrams import is_address, is_own
from stream_client.util.redact import redact
from stream_client.util.srt_url import srt_parameters

_SILENT = 2.0
"""Seconds without a byte of a stream that has begun: lost. libsrt itself notices after 5 s that its peer was killed."""
_KEY_BYTES = ("0", "16", "24", "32")


def check_srt_input(url: str) -> None:
    """Raise :class:`.ConfigurationError` for a URL or a machine that cannot work."""
    given = srt_parameters(url, "source")
    mode = given.get("mode", "caller")
    if mode not in ("caller", "listener"):
        raise ConfigurationError("mode is caller or listener", option="source")
    if not given.get("latency", "0").isdecimal() or given.get("pbkeylen", "0") not in _KEY_BYTES:
        raise ConfigurationError("latency is a number of microseconds, pbkeylen 16, 24 or 32", option="source")
    host = urlsplit(url).hostname or ""
    if mode == "listener" and not (is_address(host) and is_own(host)):
        raise ConfigurationError(
            f"{host} is no address of this machine, at which mode=listener could wait: 0.0.0.0 is all of them",
            option="source",
        )
    if not has_srt():
        raise ConfigurationError(
            "srt:// input needs the library libsrt (Debian: libsrt1.5-gnutls, which comes with ffmpeg)", option="source"
        )


class SrtStream:
    """A :class:`~stream_client.sources.carrier.Carrier`. ``timeout``, in seconds, bounds each step and each silence."""

    container = "mpegts"

    def __init__(self, url: str, *, timeout: float) -> None:
        parts = urlsplit(url)
        self._name = redact(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._given = srt_parameters(url, "source")
        self._timeout = timeout
        self._patience = timeout
        self._socket = SrtSocket()

    def open(self) -> None:
        """Call the listener, or wait for a caller."""
        given = self._given
        self._socket.prepare(
            timeout=self._timeout,
            latency=int(given["latency"]) / 1_000_000 if "latency" in given else None,
            passphrase=given.get("passphrase", ""),
            key_bytes=int(given.get("pbkeylen", "0")),
            stream_id=given.get("streamid", ""),
        )
        if given.get("mode") != "listener":
            reason = self._socket.connect(self._host, self._port)
            if reason is not None:
                raise self._refusal(reason)
        else:
            try:
                self._socket.accept(self._host, self._port, self._timeout)
            except TimeoutError:
                raise SourceTimeoutError(f"{self._name}: nobody called within {self._timeout:g} s") from None
        self._wait_at_most(self._timeout)

    def read(self, size: int) -> bytes:
        """What has come."""
        try:
            data = self._socket.receive()
        except TimeoutError:
            raise SourceTimeoutError(
                f"{self._name}: nothing came for {self._patience:g} s: does somebody publish there?"
            ) from None
        if self._patience > _SILENT:
            self._wait_at_most(_SILENT)
        return data

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def abort(self) -> None:
        """Make a wait fail now."""
        self._socket.abort()

    def _wait_at_most(self, seconds: float) -> None:
        self._patience = seconds
        self._socket.wait_at_most(seconds)

    def _refusal(self, reason: int) -> SourceError:
        name = self._name
        match reason:  # SRT_REJECT_REASON of srt.h; from 1000 on they are HTTP's statuses
            case 10:
                return SourceAuthenticationError(f"{name}: the passphrase is wrong (?passphrase=…)")
            case 11:
                return SourceAuthenticationError(
                    f"{name}: one side has a passphrase and the other has none: ?passphrase=…, or leave it out"
                )
            case 1401 | 1403:
                return SourceAuthenticationError(f"{name}: the server refuses the stream: look at ?streamid=…")
            case 1404:
                return SourceNotFoundError(f"{name}: nobody publishes there")
            case 16:
                return SourceError(f"{name}: nobody answers there; is the server running?")
        return SourceError(f"{name}: the server refuses the connection (SRT's reason {reason})")
