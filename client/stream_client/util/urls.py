"""URLs with credentials, taken apart and put together again."""

import base64
import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from stream_client.errors import ConfigurationError
from stream_client.util.redact import redact

CREDENTIALS_VARIABLE = "STREAM_CLIENT_CREDENTIALS"
"""The environment's credentials: URLs with user and password, such as ``rtsp://me:pa%40ss@camera``, with spaces between
them. Each is for the addresses that begin with it.
"""
DEFAULT_PORTS = {
    "rtsp": 554,
    "rtsps": 322,
    "http": 80,
    "https": 443,
    "rtmp": 1935,
    "onvif": 80,
    "rtmps": 443,
    "mqtt": 1883,
    "mqtts": 8883,
    "redis": 6379,
    "rediss": 6379,
}

_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[^@/?#:\[\]]+)(?::\d{1,5})?", re.IGNORECASE)
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user and a password, in plain text: never print them."""

    user: str
    password: str

    @property
    def basic(self) -> str:
        """The value of ``Authorization`` for Basic authentication (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def check_url(url: str, option: str | None = None) -> None:
    """Raise :class:`.ConfigurationError`, with that ``option``, for a URL without a host, with a bad port, or with
    control characters or spaces, which would end a line of a request.
    """
    if _NOT_IN_URLS.search(url):
        raise ConfigurationError(
            f"{redact(repr(url))} is no URL: write a space as %20, and leave out line ends", option=option
        )
    authority = re.split(r"[/?#]", split_credentials(url)[0].partition("://")[2], maxsplit=1)[0]
    if not _HOST.fullmatch(authority) or not _has_port(authority):
        scheme, separator, _ = url.partition("://")
        if not separator:
            raise ConfigurationError(f"{redact(url)} is no URL: it begins with http:// or the like", option=option)
        raise ConfigurationError(f"{redact(url)} is no URL: it begins with {scheme}://host:port", option=option)


def check_slashes(text: str, option: str) -> None:
    """Raise :class:`.ConfigurationError` for a URL with one slash or none, as in ``rtsp:/host``: it is no file."""
    if re.match(r"(?:rtsps?|https?|rtmps?|srt|udp|rtp):(?!//)", text, re.IGNORECASE):
        raise ConfigurationError(
            f"{redact(text)} is no URL: two slashes follow the scheme; for a file of that name write ./ before it",
            option=option,
        )


def check_clear_text(url: str, option: str | None = None) -> None:
    """Raise :class:`.ConfigurationError` where Basic authentication would send a password without encryption."""
    bare, credentials = split_credentials(url)
    if credentials is not None and bare.startswith("http://") and not is_loopback(urlsplit(bare).hostname or ""):
        raise ConfigurationError(f"{redact(url)} would send the password in clear text: use https://", option=option)


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """``url`` without its credentials, and these, percent-decoded.

    Signs that should have been percent-encoded are forgiven where the meaning is clear: an ``@`` in the
    password, and a ``/``, ``?`` or ``#`` in it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url, None
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        userinfo = authority.rpartition("@")[0]
    elif "@" in rest and not _HOST.fullmatch(authority):
        userinfo = rest.partition("@")[0]  # the authority is no host: a password with a slash in it
    else:
        return url, None
    user, _, password = userinfo.partition(":")
    return f"{scheme}://{rest[len(userinfo) + 1 :]}", Credentials(unquote(user), unquote(password))


def in_ascii(url: str) -> str:
    """``url`` with its path in ASCII: letters and spaces that somebody wrote as they are become percent-encoded."""
    host = re.match(r"(?:[^:/?#]*://[^/?#]*)?", url)
    assert host is not None
    path = quote(url[host.end() :], safe="%/:?#[]@!$&'()*+,;=~", errors="surrogateescape")
    return host[0] + path


def credentials_for(url: str) -> Credentials | None:
    """The credentials of ``url``, or those that the environment has for its scheme, host, port and path."""
    bare, own = split_credentials(url)
    if own is not None:
        return own
    best, found = -1, None
    for entry in os.environ.get(CREDENTIALS_VARIABLE, "").split():
        begin, credentials = split_credentials(entry)
        path = urlsplit(begin).path.rstrip("/")
        if credentials is not None and len(path) > best and same_server(begin, bare) and _is_below(bare, path):
            best, found = len(path), credentials
    return found


def same_server(one: str, other: str) -> bool:
    """Whether two URLs have the same scheme, host and port."""
    return _server(one) == _server(other)


def same_place(one: str, other: str) -> bool:
    """Whether two URLs name the same stream of the same server, whoever may see it."""
    first, second = (split_credentials(url)[0] for url in (one, other))
    try:
        return same_server(first, second) and urlsplit(first)[2:] == urlsplit(second)[2:]
    except ValueError:  # one of them is no URL
        return first == second


def with_credentials(url: str) -> str:
    """``url`` with the credentials of :func:`credentials_for`, percent-encoded."""
    return _joined(split_credentials(url)[0], credentials_for(url))


def moved(url: str, to: str) -> str:
    """``to`` with its credentials; those of ``url`` are also its own where it is at the same server."""
    credentials = credentials_for(url) if same_server(url, to) else credentials_for(to)
    return _joined(split_credentials(to)[0], credentials)


def with_user(url: str, credentials: Credentials) -> str:
    """``url`` with these credentials in place of its own."""
    return _joined(split_credentials(url)[0], credentials)


def _joined(bare: str, credentials: Credentials | None) -> str:
    if credentials is None:
        return bare
    userinfo = f"{quote(credentials.user, safe='')}:{quote(credentials.password, safe='')}"
    return bare.replace("://", f"://{userinfo}@", 1)


def _is_below(url: str, path: str) -> bool:
    return (urlsplit(url).path + "/").startswith(path + "/")


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme.lower(), parts.hostname, DEFAULT_PORTS.get(parts.scheme.lower()) if port is None else port


def _has_port(authority: str) -> bool:
    port = re.search(r":(\d+)$", authority)
    return port is None or 0 < int(port[1]) < 65536
