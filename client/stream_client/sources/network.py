"""Network streams: RTSP, what HTTP carries (MJPEG, HLS, files), RTMP, SRT, WHEP, datagrams, and ONVIF cameras."""

import socket
import ssl
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import av.error

from stream_client.errors import (
    ConfigurationError,
    RtspClearTextError,
    RtspError,
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTlsError,
)
from stream_client.rtmp.address import check_rtmp_url
from stream_client.sources.carrier import CarriedFeed
from stream_client.sources.datagrams import description, ffmpeg_url, is_sdp, listening_error, place_of
from stream_client.sources.feed import Feed, LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.hls_files import PlayedParts
from stream_client.sources.live import LiveSource
from stream_client.sources.options import DEFAULTS, RtspTransport
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.sources.rtmp import RtmpStream
from stream_client.sources.rtp import RtpTransportStream, SdpFeed
from stream_client.sources.rtsp import RtspFeed
from stream_client.sources.srt import SrtStream, check_srt_input
from stream_client.util.clock import SteadyClock
from stream_client.util.media import ImageOptions
from stream_client.util.redact import redact
from stream_client.util.tls import ffmpeg_tls_options, tls_context, tls_failure, tls_reason
from stream_client.util.urls import CREDENTIALS_VARIABLE, check_url, split_credentials, with_credentials

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "whep", "wheps", "udp", "rtp", "onvif")
"""Of the URLs that can be read."""
_DATAGRAMS = ("udp://", "rtp://")
_PROBE_TIMEOUT = 1.0
_LOW_DELAY = {"fflags": "nobuffer", "flags": "low_delay", "analyzeduration": "500000"}
"""A live stream names size and codec early, so FFmpeg needs to probe for half a second only."""
_MEANINGS = {
    400: "the server does not know this path, or has no room for another viewer (mediamtx: `paths`, `maxReaders`)",
    453: "the server has no room for another connection: close another viewer",
    454: "the server has dropped the session",
    503: "the server is overloaded, starting or stopping, or has no room for another connection",
}
"""By status code of RTSP (RFC 2326, 11), with what cameras and mediamtx of August 2026 mean by it."""


def is_network(spec: str) -> bool:
    """Whether ``spec`` is a URL of a network stream, or the name of a file that describes one."""
    scheme, separator, _ = spec.partition("://")
    return scheme.lower() in SCHEMES if separator else is_sdp(spec)


def check_network(spec: str) -> None:
    """Raise :class:`.ConfigurationError` for a network stream that cannot work."""
    if is_sdp(spec):
        return
    check_url(spec, "source")
    if spec.lower().startswith(_DATAGRAMS):
        place_of(spec)
    elif spec.lower().startswith(("rtmp://", "rtmps://")):
        check_rtmp_url(spec, "source")
    elif spec.lower().startswith(("whep://", "wheps://")):
        from stream_client.sources.whep import check_whep  # few streams need it

        check_whep(spec)
    elif spec.lower().startswith("srt://"):
        check_srt_input(spec)


def network_connection(
    url: str,
    *,
    rtsp_transport: RtspTransport = DEFAULTS.rtsp_transport,
    timeout: float = DEFAULTS.source_timeout,
    insecure: bool = False,
    images: ImageOptions | None = None,
    clock: SteadyClock | None = None,
    played: PlayedParts | None = None,
) -> LiveSource:
    """One connection to a network stream; ``images`` and ``clock`` are :class:`.LiveSource`'s.

    ``played``: what earlier connections to it have read, where it is HLS.

    ``timeout``, in seconds, limits opening and each read. ``insecure``: an RTSP server may have any certificate, and
    see a password without encryption; an HTTP server the latter.
    """
    live = LiveInput(
        redact(url),
        with_credentials(url),
        insecure=insecure,
        open_timeout=timeout,
        read_timeout=timeout,
        decoder="software" if images is None else images.decoder,
    )
    match url.partition("://")[0].lower():
        case "rtsp" | "rtsps" as scheme:
            options = _LOW_DELAY | {"rtsp_transport": rtsp_transport, "max_delay": "0"}
            options |= ffmpeg_tls_options(insecure=insecure) if scheme == "rtsps" else {}
            # Packets by UDP have no TLS.
            udp = rtsp_transport == "udp" and scheme != "rtsps"
            feed: Feed = RtspFeed(replace(live, options=options, udp=udp), network_error)
        case "http" | "https" as scheme:
            # FFmpeg itself goes on where a file broke off, and where a server closed the connection that was to bring
            # the next range: else it leaves that out silently. "nobuffer" would throw away what it looked at first.
            options = {"reconnect": "1", "reconnect_on_network_error": "1", "reconnect_delay_max": "2"}
            options |= ffmpeg_tls_options(insecure=insecure) if scheme == "https" else {}
            feed = FfmpegFeed(replace(live, options=options), network_error, played=played)
        case "rtmp" | "rtmps":
            stream = RtmpStream(url, timeout=timeout, insecure=insecure)
            feed = CarriedFeed(replace(live, options=_LOW_DELAY | {"fpsprobesize": "0"}), network_error, stream)
        case "srt":
            feed = CarriedFeed(replace(live, options=_LOW_DELAY), network_error, SrtStream(url, timeout=timeout))
        case "whep" | "wheps":
            from stream_client.sources.whep import WhepFeed  # few streams need it

            feed = WhepFeed(url, live, network_error)
        case _:
            feed = _datagram_feed(url, live)
    return LiveSource(feed, images, clock)


def _datagram_feed(name: str, live: LiveInput) -> Feed:
    """What is sent here. An address that was right once may be away with its network."""
    live = replace(live, options=_LOW_DELAY, sent_here=True)
    try:
        if is_sdp(name):
            return SdpFeed(live, description(name), network_error)
        place = place_of(name)
    except ConfigurationError as error:
        raise SourceNotFoundError(f"{live.name}: {error.message}", option="source") from None
    if name.lower().startswith("udp://"):
        # FFmpeg receives in a thread of its own, which no Python holds up: MPEG-TS comes in bursts.
        return FfmpegFeed(replace(live, url=ffmpeg_url(place), format="mpegts"), network_error)
    return CarriedFeed(live, network_error, RtpTransportStream(live.name, place, timeout=live.read_timeout))


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
        played=PlayedParts(),
    )
    if url.lower().startswith("onvif://"):
        from stream_client.sources.onvif import OnvifConnection  # few streams need it

        return ReconnectingSource(
            lambda: OnvifConnection(url, connect, timeout=timeout),
            redact(url),
            reconnect_timeout=reconnect_timeout,
            passes=True,
        )
    # A stream that nobody publishes may come. A file or an address of this machine does not.
    local = (SourceNotFoundError,) if is_sdp(url) or url.lower().startswith(_DATAGRAMS) else ()
    return ReconnectingSource(
        lambda: connect(url),
        redact(url),
        reconnect_timeout=reconnect_timeout,
        hopeless=(*ReconnectingSource.HOPELESS, *local),
        passes=url.lower().startswith(("rtsp://", "rtsps://")),
    )


def network_error(live: LiveInput, error: OSError | av.error.FFmpegError | RtspError) -> SourceError:
    """What FFmpeg's error or an RTSP server's refusal means for a stream; never with the credentials."""
    if isinstance(error, ssl.SSLError):
        untrusted = isinstance(error, ssl.SSLCertVerificationError)
        return SourceTlsError(f"{live.name}: {tls_reason(error)}", option="rtsp_insecure" if untrusted else None)
    if isinstance(error, OSError) and (found := listening_error(live.name, error)) is not None:
        return found
    text = redact(getattr(error, "strerror", None) or str(error))
    match error:
        case RtspClearTextError():
            return SourceAuthenticationError(f"{live.name}: {error}: use rtsps://, or allow it", option="rtsp_insecure")
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError() | RtspError(status=401 | 403):
            return SourceAuthenticationError(
                f"{live.name} refuses the credentials: put them in the URL, or in {CREDENTIALS_VARIABLE}"
            )
        case av.error.HTTPNotFoundError() | RtspError(status=404):
            return SourceNotFoundError(f"{live.name}: nobody publishes there (404)")
        case av.error.ExitError() | TimeoutError():
            return live.silence(live.open_timeout)
        case ConnectionRefusedError():
            return SourceError(f"{live.name}: connection refused; is the server running?")
        case socket.gaierror():
            return SourceError(f"{live.name}: no address is known for this host ({text}): correct the URL")
        case RtspError():
            known = _MEANINGS.get(error.status)
            return SourceError(f"{live.name}: {error.message}{f': {known}' if known else ''}")
        case av.error.HTTPServerError():
            return SourceError(f"{live.name}: the server has a fault of its own (5xx)")
        case av.error.InvalidDataError() | av.error.DecoderNotFoundError():
            return SourceCodecError(f"{live.name} has no video that can be decoded: {text}")
    if live.url.startswith("https") and ("tls" in text.lower() or "Input/output" in text):
        parts = urlsplit(split_credentials(live.url)[0])
        failure = tls_failure(parts.hostname or "", parts.port or 443, tls_context(insecure=False), _PROBE_TIMEOUT)
        reason = f"the TLS handshake failed: {text}" if failure is None else tls_reason(failure)
        return SourceTlsError(f"{live.name}: {reason}")
    return SourceError(f"{live.name}: {text}")
