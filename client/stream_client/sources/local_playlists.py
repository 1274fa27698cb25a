"""HLS playlists of this machine."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from stream_client.sources.hls_playlist import PLAYLIST_HEAD, Playlist, playlist, playlist_text

_PROTOCOLS = {"protocol_whitelist": "file,crypto,data"}


class LocalPlaylists:
    """Reads files, by their path behind ``file:``."""

    def read(self, url: str, limit: int) -> Playlist:
        """See :class:`.hls_files.Playlists`."""
        path = Path(url.removeprefix("file:"))
        if not path.is_file():
            raise FileNotFoundError(2, f"there is no file {path}")
        with path.open("rb") as file:
            data = file.read(limit + 1)
        return playlist(playlist_text(data, limit), partial(_beside, path))

    def part(self, url: str, at: int) -> str:
        """See :class:`.hls_files.Playlists`."""
        return url

    @property
    def options(self) -> dict[str, str]:
        """See :class:`.hls_files.Playlists`."""
        return _PROTOCOLS


def is_playlist(path: Path) -> bool:
    """Whether a file is an HLS playlist, by its first line. A pipe can be read once only, so it is none."""
    if not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(PLAYLIST_HEAD)) == PLAYLIST_HEAD
    return False


def _beside(path: Path, uri: str) -> str:
    return uri if "://" in uri else f"file:{path.parent / uri.removeprefix('file:')}"
