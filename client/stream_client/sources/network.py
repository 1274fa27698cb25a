"""Network streams: RTSP over TCP, HTTP MJPEG, HLS."""

import os
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

import av.error

from stream_client.errors import (
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceTlsError,
)
from stream_client.redact import redact
from stream_client.sources.live import LiveInput, LiveSource

RtspTransport = Literal["tcp", "udp"]
_SCHEMES = ("rtsp", "rtsps", "http", "https")
USER_VARIABLE = "STREAM_CLIENT_RTSP_USER"
PASSWORD_VARIABLE = "STREAM_CLIENT_RTSP_PASSWORD"


def is_network(spec: str) -> bool:
    """Whether ``spec`` is a URL of a network stream."""
    return urlsplit(spec).scheme in _SCHEMES and "://" in spec


def with_credentials(url: str) -> str:
    """``url`` with the credentials of the environment, where it has none of its own."""
    parts = urlsplit(url)
    user = os.environ.get(USER_VARIABLE)
    if user is None or "@" in parts.netloc:
        return url
    password = os.environ.get(PASSWORD_VARIABLE, "")
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=netloc))


def network_source(url: str, *, rtsp_transport: RtspTransport = "tcp", timeout: float = 10.0) -> LiveSource:
    """A network stream; ``timeout`` in seconds bounds opening and each read."""
    options = {"fflags": "nobuffer", "flags": "low_delay"}
    if urlsplit(url).scheme.startswith("rtsp"):
        options |= {"rtsp_transport": rtsp_transport, "max_delay": "0"}
    live = LiveInput(redact(url), with_credentials(url), None, options, open_timeout=timeout, read_timeout=timeout)
    return LiveSource(live, network_error)


def network_error(live: LiveInput, error: OSError | av.error.FFmpegError) -> SourceError:
    """What FFmpeg's error means for a stream; never with the credentials."""
    text = redact(error.strerror or str(error))
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return SourceAuthenticationError(
                f"{live.name} refuses the credentials: put them in the URL, or in {USER_VARIABLE} and "
                f"{PASSWORD_VARIABLE}"
            )
        case av.error.HTTPNotFoundError():
            return SourceNotFoundError(f"{live.name}: nobody publishes there (404)")
        case av.error.ExitError() | av.error.TimeoutError():
            return SourceTimeoutError(f"{live.name} did not answer within {live.open_timeout:g} s")
        case av.error.ConnectionRefusedError():
            return SourceError(f"{live.name}: connection refused; is the server running?")
        case av.error.InvalidDataError() | av.error.DecoderNotFoundError():
            return SourceCodecError(f"{live.name} has no video that can be decoded: {text}")
    if live.url.startswith(("rtsps", "https")) and ("tls" in text.lower() or "Input/output" in text):
        return SourceTlsError(f"{live.name}: the TLS handshake failed: {text}")
    return SourceError(f"{live.name}: {text}")
