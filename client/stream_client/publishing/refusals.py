"""What a media server means by a refusal, and whether another attempt can help."""

import socket
import ssl

from stream_client.errors import OutputRefusedError, RtspClearTextError, RtspError, SinkError
from stream_client.util.tls import tls_reason

_MEANINGS = {
    400: "the server does not take this stream. Its path may be unknown there, may have a source of its own, or "
    "somebody publishes there already (mediamtx: `paths`, `source`, `overridePublisher`): use another path",
    403: "these credentials may not publish there: use others, or another path",
    404: "the server has no such path: correct the URL, or add the path to the server's configuration",
    405: "the server takes no streams at this path: correct the URL",
    415: "the server does not take H.264 there, or wants it with other tracks: look at what it expects at this path",
    453: "the server has no room for another stream (mediamtx: `maxReaders`): stop another one, or raise its limit",
    454: "the server has dropped the session",
    461: "the server takes this stream neither by TCP nor by UDP: allow one of them there",
    501: "the server takes no streams at this path: correct the URL",
    503: "the server is overloaded, starting or stopping, or somebody publishes there already",
    551: "the server wants an extension of RTSP that this client does not have",
}
"""By status code of RTSP (RFC 2326, 11), with what mediamtx of August 2026 means by it."""

_TAKEN_OVER = "another publisher takes this path: give one of them another path, or stop it"
_KEY_REFUSED = (
    "the server closes each stream soon: it refuses the stream key or the application, or another publisher takes it"
)


def contested(url: str) -> str:
    """Why a server takes streams and closes them. nginx-rtmp says that it takes a stream before it looks at the key."""
    return _KEY_REFUSED if url.lower().startswith("rtmp") else _TAKEN_OVER


def meaning(error: Exception, longest: float) -> str:
    """One line about ``error`` and what to do; ``longest``: seconds that an answer may take."""
    if isinstance(error, RtspClearTextError):
        return f"{error.message}: use rtsps://, or allow it by rtsp_insecure"
    if isinstance(error, RtspError):
        if error.status == 401:
            return "the server refuses the credentials: put them in the URL"
        known = _MEANINGS.get(error.status)
        return f"{error.message}: {known}" if known else error.message
    if isinstance(error, SinkError):
        return error.message
    if isinstance(error, ssl.SSLError):
        return tls_reason(error)
    if isinstance(error, TimeoutError):
        return f"the server did not answer within {longest:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is the server running?"
    if isinstance(error, BrokenPipeError | ConnectionResetError) and error.errno:  # the kernel's own words
        return "the server closed the connection"
    if isinstance(error, socket.gaierror):
        return f"no address is known for this host ({error.strerror}): correct the URL"
    return str(getattr(error, "strerror", None) or error)


def is_final(error: Exception) -> bool:
    """Whether a retry does not mend ``error``: refused credentials, and a failed TLS handshake."""
    if isinstance(error, OutputRefusedError):
        return error.final
    return isinstance(error, ssl.SSLError) or refuses_credentials(error)


def refuses_credentials(error: Exception) -> bool:
    """Whether the server wants other credentials."""
    return isinstance(error, RtspError) and error.status in (401, 403)


def is_closed_by_server(error: Exception) -> bool:
    """Whether the server closed the connection, as media servers do when another publisher takes the path."""
    return isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
