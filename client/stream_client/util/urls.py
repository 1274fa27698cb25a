"""URLs with credentials, taken apart and put together again."""

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from stream_client.errors import ConfigurationError
from stream_client.util.redact import redact

USER_VARIABLE = "STREAM_CLIENT_RTSP_USER"
PASSWORD_VARIABLE = "STREAM_CLIENT_RTSP_PASSWORD"

_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[^@/?#:\[\]]+)(?::\d{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user and a password, in plain text: never print them."""

    user: str
    password: str


def check_url(url: str, option: str) -> None:
    """Raise :class:`.ConfigurationError`, with that ``option``, for a URL without a host or with a bad port."""
    authority = re.split(r"[/?#]", split_credentials(url)[0].partition("://")[2], maxsplit=1)[0]
    if not _HOST.fullmatch(authority):
        raise ConfigurationError(f"{redact(url)} is no URL: rtsp://host:port/path, for instance", option=option)


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


def environment_credentials() -> Credentials | None:
    """The credentials for network streams that the environment gives."""
    user = os.environ.get(USER_VARIABLE)
    return None if not user else Credentials(user, os.environ.get(PASSWORD_VARIABLE, ""))


def with_credentials(url: str) -> str:
    """``url`` with its own credentials percent-encoded, or with those of the environment where it has none."""
    bare, own = split_credentials(url)
    credentials = own or environment_credentials()
    if credentials is None:
        return bare
    userinfo = f"{quote(credentials.user, safe='')}:{quote(credentials.password, safe='')}"
    return bare.replace("://", f"://{userinfo}@", 1)
