"""The client's side of RTSP 1.0 (RFC 2326): requests, their answers, keep-alives. No I/O; time is an argument."""

import math
import re
from collections.abc import Mapping

from stream_client.errors import RtspClearTextError, RtspError
from stream_client.rtsp.authentication import Authenticator
from stream_client.rtsp.messages import Packet, Response, parse_packet, parse_response, request_bytes
from stream_client.util.urls import Credentials

_KEEPALIVE_SECONDS = 25.0  # servers close sessions after 60 s by default (RFC 2326, 12.37)
_SESSION_TIMEOUT = re.compile(r"timeout\s*=\s*([0-9]{1,9})")
_REDIRECTS = (301, 302, 303, 305, 307, 308)


class RtspClient:
    """One connection's state. Bytes go in by :meth:`receive`; the requests' bytes come out of the methods.

    ``clear_text``: whether a password may go through Basic authentication, which does not hide it. ``silence``: seconds
    within which the server has to say something after a keep-alive.
    """

    def __init__(self, url: str, credentials: Credentials | None, *, clear_text: bool, silence: float) -> None:
        self.url = url
        self.redirection = ""
        """Where the server sends the client, once it does."""
        self._authenticator = None if credentials is None else Authenticator(credentials)
        self._clear_text = clear_text
        self._silence = silence
        self._received = bytearray()
        self._sequence = 0
        self._last: tuple[str, str, Mapping[str, str], bytes] | None = None
        self._challenged = False
        self._session = ""
        self._keepalive_method = "OPTIONS"
        self._keepalives: dict[str, str] = {}
        self._keepalive_seconds = _KEEPALIVE_SECONDS
        self._next_keepalive = 0.0
        self._silence_end = math.inf

    def keep_credentials(self, before: "RtspClient") -> None:
        """Answer challenges as ``before`` did, on another connection to the same server."""
        self._authenticator = self._authenticator or before._authenticator

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """The bytes of a request. Its response goes to :meth:`answer`."""
        self._last, self._challenged = (method, url, headers, body), False
        return self._bytes(method, url, headers, body)

    def is_answer(self, response: Response) -> bool:
        """Whether ``response`` belongs to the last request. If not, it is a keep-alive's, and is taken here."""
        number = response.headers.get("cseq", str(self._sequence))
        keepalive = self._keepalives.pop(number, None)
        if keepalive is None:
            return number == str(self._sequence)
        self._learn_methods(response)
        if keepalive == "GET_PARAMETER" and response.status in (405, 451, 501, 551):
            self._keepalive_method = "OPTIONS"  # the server offers it and does not know it
        elif keepalive != self._keepalive_method:
            self._next_keepalive = 0.0  # the server offers the other one: it may not count this one
        return False

    def answer(self, response: Response, now: float) -> bytes:
        """Take the response to the last request. Returns the same request with authorisation if it has to be repeated.

        Raises :class:`RtspError` for refusals.
        """
        assert self._last is not None
        method = self._last[0]
        self._learn_methods(response)
        if response.status == 401 and self._authenticator is not None and not self._challenged:
            self._challenged = True
            if self._authenticator.challenged(response.challenges):
                if self._authenticator.shows_password and not self._clear_text:
                    raise RtspClearTextError("the server wants the password in clear text (Basic without TLS)", 401)
                return self._bytes(*self._last)
        if response.status in _REDIRECTS and (location := response.headers.get("location")):
            self.redirection = location
            raise RtspError(f"{method} was redirected to another address", response.status)
        if response.status != 200:
            raise RtspError(f"{method} was answered with {response.status} {response.reason}", response.status, method)
        if session := response.headers.get("session"):
            self._session = session.split(";")[0].strip()
            if declared := _SESSION_TIMEOUT.search(session):
                self._keepalive_seconds = max(1.0, min(_KEEPALIVE_SECONDS, int(declared[1]) / 2))
        self._next_keepalive = now + self._keepalive_seconds
        return b""

    def keepalive(self, now: float) -> bytes:
        """The request that keeps the session alive; empty while none is due.

        Raises :class:`TimeoutError` when nothing has come within the time after the last one.
        """
        if now >= self._silence_end:
            raise TimeoutError("the server has fallen silent")
        if now < self._next_keepalive:
            return b""
        self._next_keepalive = now + self._keepalive_seconds
        self._silence_end = now + self._silence
        data = self._bytes(self._keepalive_method, self.url, {}, b"")
        if len(self._keepalives) >= 8:  # servers may leave some unanswered
            self._keepalives.pop(next(iter(self._keepalives)))
        self._keepalives[str(self._sequence)] = self._keepalive_method
        return data

    def next_deadline(self) -> float:
        """When :meth:`keepalive` has something to do."""
        return min(self._next_keepalive, self._silence_end)

    def teardown(self) -> bytes:
        """The request that ends the session; empty where there is none."""
        return self.request("TEARDOWN", self.url, {}) if self._session else b""

    def receive(self, data: bytes) -> None:
        """Bytes came from the server."""
        self._received += data
        self._silence_end = math.inf

    def next_message(self) -> Response | Packet | None:
        """The next message of the server, ``None``: not all of one is there.

        Raises :class:`RtspError` for what is neither a response nor a packet, such as a request of the server.
        """
        if not self._received:
            return None
        parse = parse_packet if self._received.startswith(b"$") else parse_response
        parsed = parse(self._received)
        if parsed is None:
            return None
        message, length = parsed
        del self._received[:length]
        return message

    def skip_to_packet(self) -> None:
        """After an :class:`RtspError` of :meth:`next_message`: go on where the next packet may begin."""
        start = self._received.find(b"$", 1)
        del self._received[: len(self._received) if start < 0 else start]

    def _bytes(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        self._sequence += 1
        fields = {"CSeq": str(self._sequence), "User-Agent": "ovms-stream-client", **headers}
        if self._session:
            fields["Session"] = self._session
        authorization = self._authenticator.header(method, url) if self._authenticator else None
        if authorization is not None:
            fields["Authorization"] = authorization
        return request_bytes(method, url, fields, body)

    def _learn_methods(self, response: Response) -> None:
        methods = {method.strip().upper() for method in response.headers.get("public", "").split(",")}
        if "GET_PARAMETER" in methods:
            self._keepalive_method = "GET_PARAMETER"
