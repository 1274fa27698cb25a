"""A file or stream over HTTP whose password must not go out as it is: by Digest authentication alone.

FFmpeg would give it to a server, or to somebody on the line, who asks for Digest first and for Basic then.
"""

import os
import urllib.request
from http.client import HTTPException, HTTPResponse
from urllib.parse import urljoin

from stream_client.sources.feed import LiveInput
from stream_client.sources.http_passwords import USER_AGENT, ffmpeg_errors
from stream_client.util.http import ClosedRefusals, HttpRedirects
from stream_client.util.urls import Credentials, split_credentials


def passwords(url: str, credentials: Credentials) -> urllib.request.HTTPPasswordMgrWithDefaultRealm:
    """``credentials`` for the server of ``url`` alone."""
    made = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    made.add_password(None, urljoin(url, "/"), credentials.user, credentials.password)
    return made


class DigestFile:
    """Reads ``live.url``, which has credentials; for one thread. It can be sought in where the server sends ranges.

    Raises :class:`OSError` and FFmpeg's errors where it cannot be opened. Later ones are kept in :attr:`error`.
    """

    def __init__(self, live: LiveInput) -> None:
        self._url, credentials = split_credentials(live.url)
        assert credentials is not None
        self._timeout = live.read_timeout
        digest = urllib.request.HTTPDigestAuthHandler(passwords(self._url, credentials))
        self._opener = urllib.request.build_opener(ClosedRefusals, digest, HttpRedirects)
        self._at = 0
        self.error: OSError | None = None
        """Why reading has ended."""
        self._answer: HTTPResponse | None = self._open()
        total = self._answer.headers.get("Content-Range", "").rpartition("/")[2]
        self._size = int(total) if self._answer.status == 206 and total.isdecimal() else None

    def read(self, size: int) -> bytes:
        """Wait for bytes, at most ``size``; empty at the end."""
        try:
            if self._answer is None:
                self._answer = self._open()
            data = self._answer.read1(size)
            if not data and self._size is not None and self._at < self._size:
                raise OSError("the connection broke off")
        except (OSError, HTTPException) as error:
            self.error = error if isinstance(error, OSError) else OSError(f"the answer is no HTTP: {error}")
            return b""
        self._at += len(data)
        return data

    def seekable(self) -> bool:
        """Whether the server sends ranges."""
        return self._size is not None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place. Returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size or 0}[whence]
        if start + offset != self._at:
            self.close()
            self._at = start + offset
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def close(self) -> None:
        """Close the connection."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

    def _open(self) -> HTTPResponse:
        request = urllib.request.Request(self._url, headers={"User-Agent": USER_AGENT, "Range": f"bytes={self._at}-"})
        with ffmpeg_errors():
            answer: HTTPResponse = self._opener.open(request, timeout=self._timeout)
        return answer
