"""ASGI middleware that every request and websocket passes first: who asks, from where, and how much may come."""

import asyncio
import json
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_client.web.access import Access

MAX_BODY = 1 << 20
"""Bytes of a request's body, except for uploads."""
READ_TIMEOUT = 20.0
"""Seconds without a byte of a body that is not complete."""
OPEN_PATHS = ("/api/session",)
"""What is answered without the token, beside the page: here the token is exchanged for the cookie."""
UPLOADS = "/api/uploads"

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of every answer. ``default-src 'self'`` allows no inline script or style, and no other host."""


class Guard:
    """Refuses a request before the application sees it. ``max_upload`` is in bytes."""

    def __init__(self, app: ASGIApp, *, access: Access, max_upload: int) -> None:
        self._app = app
        self._access = access
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse with one line that says why."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is None and scope["type"] == "http":
            await self._pass_on(scope, headers, receive, send)
        elif refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _answer(send, *refusal)
        else:
            await _close(scope, receive, send, *refusal)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.allows_host(hosts[0]):
            return 421, "this Host is not a name of this application: use its address, or add the name to allowed_host"
        origin = headers.get("origin")
        if origin is not None and not self._access.allows_origin(origin, hosts[0]):
            return 403, "pages of another site may not use this application, unless they are in allowed_origin"
        if origin is None and _is_embedded_elsewhere(headers):
            return 403, "pages of another site may not show parts of this application"
        if self._is_open(scope) or self._knows(headers) or headers.get("access-control-request-method"):
            return None
        return 401, "the token is missing or wrong: open the URL that the program printed at its start"

    def _is_open(self, scope: Scope) -> bool:
        """The page is no secret, and has to load before it can show the token."""
        if not self._access.token:
            return True
        path: str = scope["path"]
        is_page = scope["type"] == "http" and not path.startswith(("/api/", "/metrics", "/socket.io", "/ws/"))
        return is_page or path in OPEN_PATHS

    def _knows(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._access.knows_token(token.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._access.cookie_name)
        except CookieError:
            return False
        return cookie is not None and self._access.knows_cookie(cookie.value)

    async def _pass_on(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        bound = self._max_upload if scope["path"].startswith(UPLOADS) else MAX_BODY
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > bound:
            await _answer(send, 413, _too_large(bound))
            return
        taken = 0
        complete = False

        async def bounded_receive() -> Message:
            nonlocal taken, complete
            try:
                message = await (receive() if complete else asyncio.wait_for(receive(), READ_TIMEOUT))
            except asyncio.TimeoutError:
                raise HTTPException(408, f"no byte of the request came for {READ_TIMEOUT:g} s") from None
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if taken > bound:
                    raise HTTPException(413, _too_large(bound))
            return message

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    sent.setdefault(name, value)
                sent.setdefault("cache-control", "no-store" if _is_data(scope) else "no-cache")
            await send(message)

        await self._app(scope, bounded_receive, guarded_send)


def _is_embedded_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site loads this as a part, such as an image. Following a link is fine."""
    site = headers.get("sec-fetch-site", "same-origin")
    return site not in ("same-origin", "none") and headers.get("sec-fetch-mode") != "navigate"


def _is_data(scope: Scope) -> bool:
    return bool(scope["path"].startswith(("/api/", "/metrics")))


def _too_large(bound: int) -> str:
    return f"the request is larger than {bound / 1e6:g} MB"


async def _answer(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _close(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    """Refuse a websocket with the status of an HTTP answer, where the server can do that."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        return
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
