"""No password in clear text over HTTP: FFmpeg would give it to any server that asks for Basic authentication."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.parse import urlsplit

import av.error

from stream_client.errors import SourceAuthenticationError
from stream_client.sources.feed import LiveInput
from stream_client.util.http import open_within
from stream_client.util.urls import in_ascii, is_loopback, split_credentials

USER_AGENT = "Lavf"
"""FFmpeg's name, for what is read beside it."""
_STATUS = {
    401: av.error.HTTPUnauthorizedError,
    403: av.error.HTTPForbiddenError,
    404: av.error.HTTPNotFoundError,
}


def url_to_open(live: LiveInput) -> str:
    """The URL that FFmpeg may have: with the credentials only where they do not go over the line as they are.

    Asks the server without credentials first. Raises :class:`.SourceAuthenticationError` where it wants them by Basic
    authentication, :class:`OSError` where it does not answer.
    """
    bare, credentials = split_credentials(live.url)
    if credentials is None or allows_clear_text(live):
        return live.url
    schemes = _challenges(bare, live.open_timeout)
    if "digest" in schemes:  # FFmpeg takes it where a server offers both
        return live.url
    if "basic" in schemes:
        raise SourceAuthenticationError(
            f"{live.name}: the server wants the password in clear text (Basic without TLS): use https://, or allow it",
            option="rtsp_insecure",
        )
    return bare


def allows_clear_text(live: LiveInput) -> bool:
    """Whether the password may be sent as it is: TLS encrypts it, the server is this machine, or the user allows it."""
    parts = urlsplit(split_credentials(live.url)[0])
    return parts.scheme.lower() != "http" or live.insecure or is_loopback(parts.hostname or "")


def _challenges(url: str, seconds: float) -> set[str]:
    """The authentication schemes that the server asks for, in lower case."""
    try:
        open_within(urllib.request.Request(in_ascii(url)), seconds).close()
    except urllib.error.HTTPError as error:
        with error:
            given = error.headers.get_all("WWW-Authenticate", [])
        return {challenge.split(" ", 1)[0].lower() for challenge in given}
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else error from None
    except HTTPException as error:
        raise OSError(f"the answer is no HTTP: {type(error).__name__}") from error
    return set()


@contextmanager
def ffmpeg_errors() -> Iterator[None]:
    """Raise what FFmpeg would for :mod:`urllib`'s errors, and :class:`OSError` where there is no answer."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        other = av.error.HTTPServerError if error.code >= 500 else av.error.HTTPOtherClientError
        raise _STATUS.get(error.code, other)(error.code, f"{error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason)) from None
    except (HTTPException, ValueError) as error:
        raise av.error.InvalidDataError(0, f"the answer is no HTTP: {type(error).__name__}") from None
