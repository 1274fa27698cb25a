"""The HTTP of a WebRTC session: an offer is answered, and the session is deleted."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TypeVar, cast
from urllib.parse import urljoin

from stream_client.util.owned_thread import OwnedThread
from stream_client.util.tls import tls_context
from stream_client.util.urls import credentials_for, same_server, split_credentials

Answer = TypeVar("Answer")

_MOST_ANSWER_BYTES = 1 << 20


def http_url(url: str) -> str:
    """``https://…`` for ``whips://…`` and ``wheps://…``, ``http://…`` for those without TLS."""
    scheme, _, rest = url.partition("://")
    return f"{'https' if scheme.lower().endswith('s') else 'http'}://{rest}"


class Endpoint:
    """One session at ``url``. ``timeout``, in seconds, bounds each request.

    It logs in with the bearer token in the environment's ``token_variable``, else with the URL's user and password.
    """

    def __init__(self, url: str, *, token_variable: str, timeout: float, insecure: bool) -> None:
        self._url = http_url(split_credentials(url)[0])
        self._credentials = credentials_for(url)
        self._token_variable = token_variable
        self._timeout = timeout
        self._insecure = insecure
        self._session = ""

    async def offer(self, offer: str) -> str:
        """The server's answer; raises :class:`OSError`, :class:`urllib.error.HTTPError` for a refusal."""
        answer, location = await _apart(self._request, "POST", self._url, offer.encode())
        session = urljoin(self._url, location) if location else ""
        self._session = session if same_server(self._url, session) else ""
        return answer

    async def end(self) -> None:
        """Delete the session, where the server gave it an address."""
        if self._session:
            with contextlib.suppress(OSError):
                await _apart(self._request, "DELETE", self._session, None)

    def _request(self, method: str, url: str, body: bytes | None) -> tuple[str, str]:
        """The answer's body and its ``Location``."""
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

        class NoRedirects(HTTPRedirectHandler):
            """The login stays with the server that it was given for."""

            def redirect_request(self, *_: object) -> None:
                """A redirect is an error."""

        headers = {"Content-Type": "application/sdp"} if body is not None else {}
        if token := os.environ.get(self._token_variable):
            headers["Authorization"] = f"Bearer {token}"
        elif self._credentials is not None:
            headers["Authorization"] = self._credentials.basic
        request = Request(url, data=body, headers=headers, method=method)
        try:
            opener = build_opener(HTTPSHandler(context=tls_context(insecure=self._insecure)), NoRedirects)
            with opener.open(request, timeout=self._timeout) as response:
                answer = response.read(_MOST_ANSWER_BYTES).decode("utf-8", "replace")
                return answer, response.headers.get("Location", "")
        except HTTPError as error:
            error.close()
            raise
        except URLError as error:
            raise (error.reason if isinstance(error.reason, OSError) else ConnectionError(str(error.reason))) from None
        except HTTPException:  # its text is what the server sent
            raise ConnectionError("the server does not speak HTTP") from None


async def _apart(function: Callable[..., Answer], *arguments: object) -> Answer:
    """Call a function that cannot be interrupted in a thread, which the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: Exception | None) -> None:
        if result.done():
            return
        if error is None:
            result.set_result(cast(Answer, answer))
        else:
            result.set_exception(error)

    def call() -> None:
        answer, failure = None, None
        try:
            answer = function(*arguments)
        except Exception as error:  # noqa: BLE001 - raised in the loop
            failure = error
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(settle, answer, failure)

    OwnedThread(call, "WebRTC's HTTP").start()
    return await result
