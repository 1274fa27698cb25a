"""From a URL to a publisher."""

from functools import partial
from pathlib import Path

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from stream_client.errors import ConfigurationError
from stream_client.publishing.encoder import EncoderFactory, PyavEncoder
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.ffmpeg_encoder import FfmpegEncoder, check_ffmpeg
from stream_client.publishing.hls import HlsWire
from stream_client.publishing.leading import Lead
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.publisher import PublishingSink
from stream_client.publishing.rtmp import RtmpWire
from stream_client.publishing.rtsp import RtspWire, Transport
from stream_client.publishing.session import Bounds
from stream_client.publishing.srt import SrtWire, check_srt_url
from stream_client.publishing.udp import UdpWire, check_udp_url
from stream_client.publishing.whip import WhipWire
from stream_client.publishing.wire import WireFactory
from stream_client.rtmp.address import check_rtmp_url
from stream_client.util.redact import redact
from stream_client.util.urls import check_url
from stream_client.webrtc.loop import check_aiortc

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "whip", "whips")
"""Of the URLs that can be published to."""
_TIMEOUT = 5.0


def encoder_factory(options: SinkOptions) -> EncoderFactory:
    """The function that makes the encoder named in ``options``. Raises :class:`.ConfigurationError`."""
    kind, _, codec = options.encoder.partition(":")
    codec = codec or "libx264"
    if kind == "ffmpeg":
        check_ffmpeg(codec)  # says now what is missing
        return partial(FfmpegEncoder, codec=codec, quality=options.quality)
    if kind != "pyav":
        raise ConfigurationError(f"{options.encoder!r} is no encoder: pyav[:NAME] or ffmpeg[:NAME]", option="encoder")
    try:
        encodes_h264 = Codec(codec, "w").canonical_name == "h264"
    except UnknownCodecError:
        encodes_h264 = False
    if not encodes_h264:
        raise ConfigurationError(f"PyAV has no H.264 encoder {codec!r} here: libx264, for instance", option="encoder")
    return partial(PyavEncoder, codec=codec, quality=options.quality)


def encoder_settings(options: SinkOptions) -> tuple[str, int]:
    """What outputs that share an encoder have in common."""
    return "pyav" if options.encoder == "pyav:libx264" else options.encoder, options.quality


def file_lead(options: SinkOptions, pool: EncoderPool) -> Lead | None:
    """What a file leads with; ``None`` where live outputs have another encoder than files."""
    settings = encoder_settings(options)
    return pool.lead(settings) if settings[0] == "pyav" else None


def open_publisher(
    url: str, options: SinkOptions, pool: EncoderPool, *, reconnect_timeout: float | None
) -> PublishingSink:
    """The publisher for ``url``, one for which :func:`publishes` is true. Raises :class:`.ConfigurationError`."""
    if options.bitrate == "auto":
        pool.lead(encoder_settings(options)).wanted = True
    return PublishingSink(
        url,
        wire_factory(url, options),
        encoder_factory(options),
        pool=pool,
        settings=encoder_settings(options),
        bounds=Bounds(
            options.output_latency,
            options.bitrate if options.bitrate == "auto" else 1000 * options.bitrate,
            1000 * options.bitrate_min,
        ),
        shrink=options.shrink,
        reconnect_timeout=reconnect_timeout,
        timeout=_TIMEOUT,
    )


def publishes(name: str) -> bool:
    """Whether an output of that name is published: a URL of a known scheme, or an HLS playlist."""
    scheme, separator, _ = name.partition("://")
    return scheme.lower() in SCHEMES if separator else name.lower().endswith(".m3u8")


def wire_factory(url: str, options: SinkOptions) -> WireFactory:
    """What makes the connections to ``url``. Raises :class:`.ConfigurationError` for what cannot work."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return partial(HlsWire, Path(url), options.hls_time)
    check_url(url, "sinks")
    match scheme.lower():
        case "rtmp" | "rtmps":
            check_rtmp_url(url, "sinks")
            return partial(RtmpWire, url, timeout=_TIMEOUT, insecure=options.rtsp_insecure)
        case "srt":
            check_srt_url(url)
            return partial(SrtWire, url, timeout=_TIMEOUT)
        case "whip" | "whips":
            check_aiortc(scheme.lower(), "sinks")
            return partial(WhipWire, url, timeout=_TIMEOUT, insecure=options.rtsp_insecure)
        case "udp":
            check_udp_url(url)
            return partial(UdpWire, url)
    transport = Transport(redact(url))
    return lambda: RtspWire(url, transport, timeout=_TIMEOUT, insecure=options.rtsp_insecure)
