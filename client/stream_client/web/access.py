"""Who may use the application: the token, the cookie that stands for it, hosts and origins."""

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError
from stream_client.util.urls import is_loopback
from stream_client.web.options import WebOptions

TOKEN_VARIABLE = "STREAM_CLIENT_WEB_TOKEN"
"""Environment variable with a token that stays the same after a restart."""
_LEAST_CHARACTERS = 16
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """The rules for one application. ``token`` is empty where none is needed. Never print it but once, at the start."""

    token: str
    cookie_name: str
    hosts: frozenset[str]
    any_address: bool
    origins: frozenset[str] = field(default_factory=frozenset)

    @property
    def cookie(self) -> str:
        """The value of the cookie: whoever sees it does not know the token."""
        return hmac.new(self.token.encode(), b"cookie", hashlib.sha256).hexdigest()

    def knows_token(self, given: str) -> bool:
        """Whether ``given`` is the token. Takes the same time for every wrong one."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())

    def knows_cookie(self, given: str) -> bool:
        """Whether ``given`` is the cookie's value."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.cookie.encode())

    def allows_host(self, host: str) -> bool:
        """Whether a request's ``Host`` is a name of this application.

        A page of another site can make its own name point here (DNS rebinding), but never an address.
        """
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self.hosts or (self.any_address and _is_address(name))

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether pages of ``origin`` may send requests to ``host``: this application's pages, and those allowed."""
        scheme, separator, _ = origin.partition("://")
        if origin in self.origins:
            return True
        place = _place(origin) if scheme in _PORTS and separator else None
        return place is not None and place == _place(f"{scheme}://{host}")


def access_for(options: WebOptions, port: int) -> Access:
    """The rules that ``options`` ask for. The token is that of the environment, or a new one."""
    own = {options.host.strip("[]"), *(name.lower() for name in options.allowed_host)}
    if options.local:
        own |= {"localhost", "127.0.0.1", "::1"}
    else:
        own |= {"localhost", socket.gethostname().lower(), socket.getfqdn().lower()}
    return Access(
        token=_token() if options.needs_token else "",
        cookie_name=f"stream_client_{port}",  # browsers share cookies among the ports of a host
        hosts=frozenset(own),
        any_address=not options.local,
        origins=frozenset(origin.rstrip("/") for origin in options.allowed_origin),
    )


def _token() -> str:
    given = os.environ.get(TOKEN_VARIABLE, "")
    if given and (len(given) < _LEAST_CHARACTERS or not given.isascii() or not given.isprintable()):
        raise ConfigurationError(f"{TOKEN_VARIABLE} needs {_LEAST_CHARACTERS} printable ASCII characters or more")
    return given or secrets.token_urlsafe(32)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return is_loopback(name)
    return True


def _place(origin: str) -> tuple[str | None, int] | None:
    """Host and port; ``None`` for what is no URL."""
    try:
        parts = urlsplit(origin)
        return parts.hostname, parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None
