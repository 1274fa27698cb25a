"""HLS playlists of a web server."""

import urllib.request
from contextlib import suppress
from dataclasses import replace
from functools import partial
from urllib.parse import urljoin

import av
import av.error

from stream_client.errors import SourceAuthenticationError
from stream_client.sources.digest_file import DigestFile, passwords
from stream_client.sources.feed import LiveInput
from stream_client.sources.hls_playlist import ENCRYPTED, Playlist, playlist, playlist_text
from stream_client.sources.http_passwords import USER_AGENT, allows_clear_text, ffmpeg_errors
from stream_client.util.http import ClosedRefusals, open_within
from stream_client.util.tls import tls_context
from stream_client.util.urls import in_ascii, same_server, split_credentials, with_user

WEB_PROTOCOLS = {"protocol_whitelist": "http,https,tls,tcp,crypto,data,httpproxy"}
"""What a web server may let FFmpeg open: no file of this machine, and no port to listen at."""


class WebPlaylists:
    """Reads over HTTP. ``live.url`` may have credentials: they are for its own server."""

    def __init__(self, live: LiveInput) -> None:
        self._bare, self._credentials = split_credentials(live.url)
        self._live = live
        self._with_cookies = urllib.request.HTTPCookieProcessor()
        self._cookies = self._with_cookies.cookiejar
        self._handlers: list[urllib.request.BaseHandler] = [self._with_cookies]
        if self._credentials is not None:
            own = passwords(self._bare, self._credentials)
            self._handlers += [ClosedRefusals(), urllib.request.HTTPDigestAuthHandler(own)]
            if allows_clear_text(live):
                self._handlers.append(urllib.request.HTTPBasicAuthHandler(own))

    def read(self, url: str, limit: int) -> Playlist:
        """See :class:`.hls_files.Playlists`."""
        if not url.lower().startswith(("http://", "https://")):  # urllib would read a file of this machine
            raise av.error.InvalidDataError(0, "it names playlists that are not behind HTTP")
        request = urllib.request.Request(in_ascii(split_credentials(url)[0]), headers={"User-Agent": USER_AGENT})
        context = tls_context(insecure=self._live.insecure) if url.lower().startswith("https") else None
        with (
            ffmpeg_errors(),
            open_within(request, self._live.open_timeout, *self._handlers, context=context) as answer,
        ):
            data, base = answer.read(limit + 1), answer.url
        return playlist(playlist_text(data, limit), partial(_joined, base))

    def part(self, url: str, at: int) -> str | DigestFile:
        """See :class:`.hls_files.Playlists`."""
        prefix = ENCRYPTED if url.startswith(ENCRYPTED) else ""
        bare = url.removeprefix(prefix)
        has_own = "@" in bare.partition("://")[2].partition("/")[0]
        if self._credentials is None or has_own or not same_server(bare, self._bare):
            return url
        address = with_user(bare, self._credentials)
        if allows_clear_text(self._live):
            return f"{prefix}{address}"
        if prefix:  # FFmpeg decrypts only what it reads itself
            raise SourceAuthenticationError(
                f"{self._live.name}: it is encrypted (AES-128), and would need the password in clear text: "
                "use https://, or allow it",
                option="rtsp_insecure",
            )
        return DigestFile(replace(self._live, url=address), self._with_cookies, at=at)

    @property
    def options(self) -> dict[str, str]:
        """See :class:`.hls_files.Playlists`. The cookies are those that came with playlists."""
        cookies = [f"{each.name}={each.value}; path={each.path}; domain={each.domain}" for each in self._cookies]
        return self._live.options | WEB_PROTOCOLS | ({"cookies": "\n".join(cookies)} if cookies else {})


def _joined(base: str, uri: str) -> str:
    """FFmpeg refuses what is no address."""
    with suppress(ValueError):
        return urljoin(base, uri)
    return uri
