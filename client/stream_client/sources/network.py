"""Network streams: RTSP, what HTTP carries (MJPEG, HLS, files), and ONVIF cameras."""

import ssl
from functools import partial
from urllib.parse import urlsplit

import av.error

from stream_client.errors import (
    RtspClearTextError,
    RtspError,
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceTlsError,
)
from stream_client.sources.feed import LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.live import LiveSource
from stream_client.sources.options import DEFAULTS, RtspTransport
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.sources.rtsp import RtspFeed
from stream_client.util.clock import SteadyClock
from stream_client.util.media import ImageOptions
from stream_client.util.redact import redact
from stream_client.util.tls import ffmpeg_tls_options, tls_context, tls_failure, tls_reason
from stream_client.util.urls import CREDENTIALS_VARIABLE, split_credentials, with_credentials

_SCHEMES = ("rtsp", "rtsps", "http", "https", "onvif")
_PROBE_TIMEOUT = 1.0
_MEANINGS = {
    400: "the server does not know this path, or has no room for another viewer (mediamtx: `paths`, `maxReaders`)",
    453: "the server has no room for another connection: close another viewer",
    454: "the server has dropped the session",
    503: "the server is overloaded, starting or stopping, or has no room for another connection",
}
"""By status code of RTSP (RFC 2326, 11), with what cameras and mediamtx of August 2026 mean by it."""


def is_network(spec: str) -> bool:
    """Whether ``spec`` is a URL of a network stream."""
    scheme, separator, _ = spec.partition("://")
    return bool(separator) and scheme.lower() in _SCHEMES


def network_connection(
    url: str,
    *,
    rtsp_transport: RtspTransport = DEFAULTS.rtsp_transport,
    timeout: float = DEFAULTS.source_timeout,
    insecure: bool = False,
    images: ImageOptions | None = None,
    clock: SteadyClock | None = None,
) -> LiveSource:
    """One connection to a network stream; ``images`` and ``clock`` are :class:`.LiveSource`'s.

    ``timeout``, in seconds, limits opening and each read. ``insecure``: an RTSP server may have any certificate, and
    see a password without encryption; an HTTP server the latter.
    """
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        # FFmpeg itself goes on where a file broke off. "nobuffer" would throw away the frames that it looked at first.
        options = {"reconnect": "1", "reconnect_delay_max": "2"}
    else:
        options = {"fflags": "nobuffer", "flags": "low_delay"}
    if scheme in ("rtsp", "rtsps"):
        # The stream's description names size and codec, so FFmpeg needs to probe for half a second only.
        options |= {"rtsp_transport": rtsp_transport, "max_delay": "0", "analyzeduration": "500000"}
    if scheme in ("rtsps", "https"):
        options |= ffmpeg_tls_options(insecure=insecure)
    live = LiveInput(
        redact(url),
        with_credentials(url),
        None,
        options,
        # Packets by UDP have no TLS.
        udp=rtsp_transport == "udp" and scheme != "rtsps",
        insecure=insecure,
        open_timeout=timeout,
        read_timeout=timeout,
    )
    ours = scheme in ("rtsp", "rtsps")
    return LiveSource(RtspFeed(live, network_error) if ours else FfmpegFeed(live, network_error), images, clock)


def network_source(
    url: str,
    *,
    rtsp_transport: RtspTransport = DEFAULTS.rtsp_transport,
    timeout: float = DEFAULTS.source_timeout,
    reconnect_timeout: float | None = None,
    insecure: bool = False,
    images: ImageOptions | None = None,
) -> ReconnectingSource:
    """A network stream that reconnects when it is lost; see :class:`ReconnectingSource`."""
    clock = SteadyClock()
    connect = partial(
        network_connection,
        rtsp_transport=rtsp_transport,
        timeout=timeout,
        insecure=insecure,
        images=images,
        clock=clock,
    )
    if url.lower().startswith("onvif://"):
        from stream_client.sources.onvif import OnvifConnection  # few streams need it

        return ReconnectingSource(
            lambda: OnvifConnection(url, connect, timeout=timeout), redact(url), reconnect_timeout=reconnect_timeout
        )
    return ReconnectingSource(lambda: connect(url), redact(url), reconnect_timeout=reconnect_timeout)


def network_error(live: LiveInput, error: OSError | av.error.FFmpegError | RtspError) -> SourceError:
    """What FFmpeg's error or an RTSP server's refusal means for a stream; never with the credentials."""
    if isinstance(error, ssl.SSLError):
        untrusted = isinstance(error, ssl.SSLCertVerificationError)
        return SourceTlsError(f"{live.name}: {tls_reason(error)}", option="rtsp_insecure" if untrusted else None)
    text = redact(getattr(error, "strerror", None) or str(error))
    match error:
        case RtspClearTextError():
            return SourceAuthenticationError(
                f"{live.name}: {error.message}: use rtsps://, or allow it", option="rtsp_insecure"
            )
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError() | RtspError(status=401 | 403):
            return SourceAuthenticationError(
                f"{live.name} refuses the credentials: put them in the URL, or in {CREDENTIALS_VARIABLE}"
            )
        case av.error.HTTPNotFoundError() | RtspError(status=404):
            return SourceNotFoundError(f"{live.name}: nobody publishes there (404)")
        case av.error.ExitError() | TimeoutError():
            return SourceTimeoutError(f"{live.name} did not answer within {live.open_timeout:g} s")
        case ConnectionRefusedError():
            return SourceError(f"{live.name}: connection refused; is the server running?")
        case RtspError():
            known = _MEANINGS.get(error.status)
            return SourceError(f"{live.name}: {error.message}{f': {known}' if known else ''}")
        case av.error.HTTPServerError():
            return SourceError(f"{live.name}: the server has a fault of its own (5xx)")
        case av.error.InvalidDataError() | av.error.DecoderNotFoundError():
            return SourceCodecError(f"{live.name} has no video that can be decoded: {text}")
    if live.url.startswith("https") and ("tls" in text.lower() or "Input/output" in text):
        parts = urlsplit(split_credentials(live.url)[0])
        found = tls_failure(parts.hostname or "", parts.port or 443, tls_context(insecure=False), _PROBE_TIMEOUT)
        reason = f"the TLS handshake failed: {text}" if found is None else tls_reason(found)
        return SourceTlsError(f"{live.name}: {reason}")
    return SourceError(f"{live.name}: {text}")
