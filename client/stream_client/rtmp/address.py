"""What an ``rtmp://`` URL names: a server, an application, a stream."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError
from stream_client.util.urls import DEFAULT_PORTS


@dataclass(frozen=True, slots=True)
class RtmpAddress:
    """``key`` is the stream's name with the URL's query, a secret; ``url`` is the application's, and has none."""

    host: str
    port: int
    tls: bool
    application: str
    key: str
    url: str


def rtmp_address(url: str) -> RtmpAddress:
    """The parts of ``url``, which :func:`check_rtmp_url` has passed."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    port = parts.port or DEFAULT_PORTS[scheme]
    application, _, key = parts.path.strip("/").partition("/")
    key += f"?{parts.query}" if parts.query else ""
    at = f"[{host}]" if ":" in host else host
    return RtmpAddress(host, port, scheme == "rtmps", application, key, f"{scheme}://{at}:{port}/{application}")


def check_rtmp_url(url: str, option: str) -> None:
    """Raise :class:`.ConfigurationError`, with that ``option``, for a URL that names no application, or has a login."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigurationError(
            "RTMP has no login before the host: put it where the server reads it, as ?user=NAME&pass=WORD",
            option=option,
        )
    if not parts.path.strip("/"):
        raise ConfigurationError(
            "an rtmp:// URL names an application and a stream: /live/KEY after the host, for instance", option=option
        )
