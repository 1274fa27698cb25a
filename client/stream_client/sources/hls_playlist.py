"""What an HLS playlist (RFC 8216) names, as far as it has to be known before FFmpeg may have it. No I/O."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import av.error

PLAYLIST_HEAD = b"#EXTM3U"
"""How a playlist begins."""
ENCRYPTED = "crypto+"
"""What FFmpeg puts before the address of a part that it has to decrypt (AES-128)."""
_URI = re.compile(r'(?<=URI=")[^"]*')
_OF_PLAYLISTS = ("#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:")
_VARIANT = "#EXT-X-STREAM-INF:"


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist's ``text`` with whole addresses in it: those of other ``playlists``, of the ``parts`` of a stream in
    their order, and of the keys and headers ``beside`` them. ``ended``: nothing will be added.

    Parts are left out where they are ranges of bytes, which have no address of their own.
    """

    text: str
    playlists: frozenset[str]
    parts: tuple[str, ...]
    beside: frozenset[str]
    ended: bool


def playlist_text(data: bytes, limit: int) -> str:
    """The text of a playlist. Raises FFmpeg's error where there are more than ``limit`` bytes."""
    if len(data) > limit:
        raise av.error.InvalidDataError(0, f"a playlist of more than {limit >> 20} MiB")
    return data.decode("utf-8", "surrogateescape")


def playlist(text: str, whole: Callable[[str], str]) -> Playlist:
    """Read a playlist; ``whole`` makes a whole address of one that is relative to the playlist's own."""
    lines: list[str] = []
    playlists: set[str] = set()
    beside: set[str] = set()
    parts: list[str] = []
    variant = False
    for line in re.split(r"[\r\n]+", text):
        if line.startswith("#EXT"):
            variant = variant or line.startswith(_VARIANT)
            lines.append(_URI.sub(lambda uri: whole(uri[0]), line))
            (playlists if line.startswith(_OF_PLAYLISTS) else beside).update(_URI.findall(lines[-1]))
        elif line and not line.startswith("#"):
            lines.append(whole(line))
            if variant:
                playlists.add(lines[-1])
            else:
                parts.append(lines[-1])
            variant = False
    if any(line.startswith("#EXT-X-BYTERANGE:") for line in lines):
        parts.clear()
    ended = any(line.startswith("#EXT-X-ENDLIST") for line in lines)
    return Playlist("\n".join([*lines, ""]), frozenset(playlists), tuple(parts), frozenset(beside), ended)
