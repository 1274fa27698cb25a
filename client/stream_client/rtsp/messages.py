"""Requests and responses of RTSP as text (RFC 2326, sections 6 and 7). No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stream_client.errors import RtspError
from stream_client.plain_text import quoted

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_HEADER_BYTES = 65_536
MAX_BODY_BYTES = 1 << 20
"""Descriptions have a few kilobytes."""
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Response:
    """A response: status code, its reason, the headers by lower-case name (the last of each), and its body."""

    status: int
    reason: str
    headers: Mapping[str, str]
    challenges: tuple[str, ...] = ()
    """Every ``WWW-Authenticate`` header."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of RTP or RTCP that came within the connection (RFC 2326, section 10.12)."""

    channel: int
    data: bytes


def request_bytes(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request; ``Content-Length`` is added where there is a body.

    Raises :class:`RtspError` for control characters, which would begin another line.
    """
    lines = [f"{method} {url} RTSP/1.0", *(f"{name}: {value}" for name, value in headers.items())]
    if any(_CONTROL.search(line) for line in lines):
        raise RtspError(f"a line end or another control character in {method} or its headers")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def parse_response(data: bytes | bytearray) -> tuple[Response, int] | None:
    """The response at the start of ``data`` and its length in bytes, body included; ``None``: not all is there.

    Raises :class:`RtspError` for anything else.
    """
    head, separator, _ = data.partition(b"\r\n\r\n")
    if len(head) > MAX_HEADER_BYTES or not b"RTSP/".startswith(bytes(data[:5])):
        raise RtspError("the server does not speak RTSP")
    if not separator:
        return None
    first, *rest = head.decode("utf-8", "replace").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not _NUMBER.fullmatch(words[1]):
        raise RtspError("the server does not speak RTSP")
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    headers = dict(pairs)
    challenges = tuple(value for name, value in pairs if name == "www-authenticate")
    length = headers.get("content-length", "0")
    if not _NUMBER.fullmatch(length) or int(length) > MAX_BODY_BYTES:
        raise RtspError(f"the server sent the length {quoted(length)!r}: at most {MAX_BODY_BYTES} bytes are taken")
    end = len(head) + 4 + int(length)
    if len(data) < end:
        return None
    body = bytes(data[len(head) + 4 : end])
    return Response(int(words[1]), quoted(words[2]) if len(words) > 2 else "", headers, challenges, body), end


def parse_packet(data: bytes | bytearray) -> tuple[Packet, int] | None:
    """The packet at the start of ``data``, a ``$``, and its length in bytes; ``None``: not all is there."""
    end = 4 + int.from_bytes(data[2:4], "big")
    return (Packet(data[1], bytes(data[4:end])), end) if len(data) >= max(4, end) else None


def interleaved(channel: int, packet: bytes) -> bytes:
    """``packet`` as RTSP carries it within the connection (RFC 2326, section 10.12)."""
    return b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet
