"""HTTP requests with a timeout for the whole answer. The one of :mod:`urllib` is for each read."""

import io
import socket
import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO, Any


def open_within(
    request: urllib.request.Request,
    seconds: float,
    *handlers: urllib.request.BaseHandler,
    context: ssl.SSLContext | None = None,
    each: float | None = None,
) -> HTTPResponse:
    """Send ``request``. The answer has to be read to its end ``seconds`` from now, or reading raises ``TimeoutError``.
    With ``each`` it has to have begun by then, and each read may take so many seconds.

    ``handlers`` do more, such as authentication; ``context`` is for TLS. A redirection leads to HTTP only. Raises what
    :func:`urllib.request.urlopen` raises.
    """
    bound = _Bound(time.monotonic() + seconds)

    def plain(host: str, /, **options: Any) -> HTTPConnection:
        return _Plain(host, bound=bound, **options)

    def secure(host: str, /, **options: Any) -> HTTPConnection:
        return _Secure(host, bound=bound, **options)

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> HTTPResponse:
            return self.do_open(plain, req)

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> HTTPResponse:
            return self.do_open(secure, req, context=context)

    opener = urllib.request.build_opener(Plain, Secure, HttpRedirects, *handlers)
    response: HTTPResponse = opener.open(request, timeout=seconds)
    bound.each = each
    return response


class ClosedRefusals(urllib.request.BaseHandler):
    """Closes the answer that asks for a password, before the standard library asks again with one."""

    handler_order = 400  # before those

    def http_error_401(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> None:
        """Leave the rest to the next handler."""
        fp.close()


class HttpRedirects(urllib.request.HTTPRedirectHandler):
    """The standard library's, which would also go on by FTP."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """See the standard library's; raises ``HTTPError`` for an address of another kind."""
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(req.full_url, code, "it is redirected to what is no HTTP", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Bound:
    """How long reading may take: to the moment ``until``, or ``each`` read for so many seconds."""

    def __init__(self, until: float) -> None:
        self._until = until
        self.each: float | None = None

    def left(self) -> float:
        """Seconds for the next read."""
        return self._until - time.monotonic() if self.each is None else self.each


class _Plain(HTTPConnection):
    def __init__(self, *arguments: Any, bound: _Bound, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bound = bound

    def connect(self) -> None:
        super().connect()
        self.sock = _Socket(self.sock, self._bound)


class _Secure(_Plain, HTTPSConnection):
    """The same over TLS: what :class:`_Plain` builds on is HTTPSConnection here."""


class _Socket:
    """A socket whose file for reading has a bound in time."""

    def __init__(self, sock: socket.socket, bound: _Bound) -> None:
        self._sock = sock
        self._bound = bound

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._bound))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, bound: _Bound) -> None:
        super().__init__()
        self._sock = sock
        self._bound = bound
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open while it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._bound.left()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
