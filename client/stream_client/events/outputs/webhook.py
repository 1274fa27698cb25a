"""Events as HTTP POST requests, signed."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException

from stream_client.errors import MessageRefusedError
from stream_client.events.event import Message
from stream_client.events.rules import Rule
from stream_client.util.http import open_within
from stream_client.util.redact import redact
from stream_client.util.urls import check_url, credentials_for, split_credentials

_LATER = (408, 425, 429)
"""Status codes below 500 with which a request may be repeated (RFC 9110, RFC 8470, RFC 6585)."""
_LONGEST_ANSWER = 65_536


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``sha256=`` and the hexadecimal HMAC-SHA256 of ``timestamp``, a dot and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookOutput:
    """Posts each message as JSON until it is answered with 2xx: at least once.

    Headers: ``X-Event-Message`` is the message's id, the same in every try, ``X-Event-Timestamp`` the seconds since
    1970 of this try. With credentials for the URL, their password is the secret of ``X-Event-Signature``
    (:func:`signature`); it is never sent. Other answers below 500 than 408, 425 and 429 refuse the message for good.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        check_url(url, "events_output")
        credentials = credentials_for(url)
        self.name = redact(url)
        self._url = split_credentials(url)[0]
        self._secret = None if credentials is None else credentials.password
        self._timeout = timeout

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Nothing to announce."""

    def expect(self, message: Message) -> None:
        """Nothing to do."""

    def send(self, message: Message) -> None:
        """Post, and wait for the answer."""
        body = json.dumps(message, ensure_ascii=False).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Event-Message": str(message["message"]),
            "X-Event-Timestamp": timestamp,
        }
        if self._secret is not None:
            headers["X-Event-Signature"] = signature(self._secret, timestamp, body)
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with open_within(request, self._timeout) as response:
                response.read(_LONGEST_ANSWER)
                moved = response.url != self._url
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500 or error.code in _LATER:
                    raise OSError(f"status {error.code}") from None
                raise MessageRefusedError(f"status {error.code}") from None
        except HTTPException as error:
            raise OSError(f"no answer in HTTP: {type(error).__name__}") from error
        if moved:  # a redirected POST arrives as GET, without the message
            raise MessageRefusedError("it is redirected: name the address that it is redirected to")

    def abort(self) -> None:
        """A request ends at its timeout."""

    def close(self) -> None:
        """Nothing is kept open."""
