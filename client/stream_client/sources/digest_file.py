"""A file or stream over HTTP whose password must not go out as it is: by Digest authentication alone.

FFmpeg would give it to a server, or to somebody on the line, who asks for Digest first and for Basic then.
"""

import os
import urllib.request
from http.client import HTTPException, HTTPResponse
from urllib.parse import urljoin

import av.error

from stream_client.sources.feed import LiveInput
from stream_client.sources.http_passwords import USER_AGENT, ffmpeg_errors
from stream_client.util.http import ClosedRefusals, open_within
from stream_client.util.urls import Credentials, in_ascii, split_credentials

_MOST_DIGITS = 18
"""Of a file's length in bytes."""


def passwords(url: str, credentials: Credentials) -> urllib.request.HTTPPasswordMgrWithDefaultRealm:
    """``credentials`` for the server of ``url`` alone."""
    made = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    made.add_password(None, urljoin(url, "/"), credentials.user, credentials.password)
    return made


class DigestFile:
    """Reads ``live.url``, which has credentials; for one thread. It can be sought in where the server sends ranges.

    It begins at the byte ``at``; ``handlers`` are for its requests, too. Raises :class:`OSError` and FFmpeg's errors
    where it cannot be opened. Later ones are kept in :attr:`error`.
    """

    def __init__(self, live: LiveInput, *handlers: urllib.request.BaseHandler, at: int = 0) -> None:
        url, credentials = split_credentials(live.url)
        assert credentials is not None
        self._live = live
        self._url = in_ascii(url)
        digest = urllib.request.HTTPDigestAuthHandler(passwords(self._url, credentials))
        self._handlers = (ClosedRefusals(), digest, *handlers)
        self._at = at
        self._ahead = b""
        """What was read already, of what follows."""
        self.error: OSError | av.error.FFmpegError | None = None
        """Why reading has ended."""
        self._answer: HTTPResponse | None = self._open()
        self._has_ranges = self._answer.status == 206
        self._size = _total(self._answer) if self._has_ranges else self._answer.length

    def begins_with(self, head: bytes) -> bool:
        """Whether these bytes come next. They are still to be read."""
        while len(self._ahead) < len(head) and (data := self._receive(len(head) - len(self._ahead))):
            self._ahead += data
        return self._ahead.startswith(head)

    def read(self, size: int) -> bytes:
        """Wait for bytes, at most ``size``; empty at the end."""
        data = self._ahead[:size] or self._receive(size)
        self._ahead = self._ahead[size:]
        self._at += len(data)
        return data

    def seekable(self) -> bool:
        """Whether the server sends ranges."""
        return self._has_ranges and self._size is not None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place. Returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size or 0}[whence]
        if start + offset != self._at:
            self.close()
            self._ahead = b""
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

    def _receive(self, size: int) -> bytes:
        if self.error is not None or (self._size is not None and self._at + len(self._ahead) >= self._size):
            return b""
        try:
            if self._answer is None:
                self._answer = self._open()
            data = self._answer.read1(size)
            if not data and self._size is not None:
                raise OSError("the connection broke off")
        except HTTPException as error:
            self.error = OSError(f"the answer is no HTTP: {error}")
            return b""
        except (OSError, av.error.FFmpegError) as error:
            self.error = error
            return b""
        return data

    def _open(self) -> HTTPResponse:
        request = urllib.request.Request(self._url, headers={"User-Agent": USER_AGENT, "Range": f"bytes={self._at}-"})
        with ffmpeg_errors():
            answer = open_within(request, self._live.open_timeout, *self._handlers, each=self._live.read_timeout)
        begin = answer.headers.get("Content-Range", "").lower().startswith(f"bytes {self._at}-")
        if not begin and (self._at or answer.status == 206):
            answer.close()
            raise OSError("the server sends no ranges any more" if self._at else "the server sends another range")
        return answer


def _total(answer: HTTPResponse) -> int | None:
    """The bytes of the file that a range is of."""
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdecimal() and len(total) <= _MOST_DIGITS else None
