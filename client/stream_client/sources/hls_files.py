"""The files of an HLS stream. FFmpeg reads the playlists, and asks us for what they name.

So a playlist has a bound in bytes, one that names itself comes to an end, and a part that FFmpeg would leave out
without a word is missed. Parts are FFmpeg's own connections, where it may have their password.
"""

import errno
import logging
import math
from collections import deque
from collections.abc import Generator
from contextlib import closing
from typing import Protocol

import av
import av.container
import av.error

from stream_client.errors import SourceError
from stream_client.sources.hls_playlist import ENCRYPTED, PLAYLIST_HEAD, Playlist
from stream_client.util.redact import redact

logger = logging.getLogger(__name__)

MAX_PLAYLIST_BYTES = 8 << 20
"""A week of parts of two seconds, as a text. FFmpeg takes up to thirty times that in memory."""
MAX_PLAYLISTS = 100
"""Of a stream: its renditions, and what they name."""
HLS_OPTIONS = {"http_persistent": "0"}
"""FFmpeg keeps connections open only where they are its own."""
_HEAD = PLAYLIST_HEAD.decode()
_ENDED = f"{_HEAD}\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n"
_PART_BYTES = 1 << 15
_GONE = (
    av.error.HTTPClientError,
    av.error.FileNotFoundError,
    av.error.PermissionError,
    av.error.ArgumentError,  # a protocol that is not allowed
    av.error.InvalidDataError,
    av.error.ProtocolNotFoundError,
)
"""Errors of a part that trying again does not mend. A live stream's parts are removed after a while."""

Failure = OSError | av.error.FFmpegError


class PartFile(Protocol):
    """A part that is read for FFmpeg; ``error``: why reading has ended."""

    @property
    def error(self) -> Failure | None:
        """``None`` at the end of the part."""

    def read(self, size: int) -> bytes:
        """Wait for bytes, at most ``size``; empty at the end."""

    def close(self) -> None:
        """Close the connection."""


class Playlists(Protocol):
    """Reads playlists."""

    def read(self, url: str, limit: int) -> Playlist:
        """The playlist at ``url``, of at most ``limit`` bytes.

        Raises :class:`OSError` and FFmpeg's errors: InvalidDataError for one that is longer.
        """

    def part(self, url: str, at: int) -> str | PartFile:
        """The address of a part, as FFmpeg may have it, or the part from the byte ``at`` on.

        Raises :class:`OSError` and FFmpeg's errors where it cannot be opened.
        """

    @property
    def options(self) -> dict[str, str]:
        """FFmpeg's for a part."""


class PlayedParts:
    """The last parts of a live stream that its connections have read. A playlist lists them again to the next one."""

    KEPT = 8
    """More than the three with which FFmpeg begins, for a stream with its sound in parts of its own."""

    def __init__(self) -> None:
        self.live = False
        """Whether the stream was live: its playlist grew."""
        self._last: deque[str] = deque(maxlen=self.KEPT)

    def add(self, part: str) -> None:
        """A part is read."""
        self._last.append(part)

    def of(self, listed: Playlist) -> set[str]:
        """The parts of a playlist that were read, and those before them; all, where it has ended and knows none."""
        last = max((index for index, part in enumerate(listed.parts) if part in self._last), default=-1)
        return set(listed.parts if listed.ended and last < 0 else listed.parts[: last + 1])


class HlsFiles:
    """Opens the files of one connection; FFmpeg's ``io_open``, for its thread. Only :meth:`stop` is for others.

    ``url`` is the playlist's, ``name`` is for messages, ``timeout``, in seconds, is to open a part and to read.
    ``played`` is of a stream that may be live. It raises no :class:`OSError` and no error of FFmpeg's, since PyAV would
    raise it elsewhere: :attr:`failure` keeps it, and FFmpeg gets an empty file.
    """

    def __init__(
        self,
        url: str,
        name: str,
        playlists: Playlists,
        *,
        timeout: tuple[float, float] | None = None,
        played: PlayedParts | None = None,
    ) -> None:
        self._name = name
        self._playlists = playlists
        self._timeout = timeout
        self._played = played
        self._known = {url}
        self._beside: dict[str, frozenset[str]] = {}
        self._passed_over: set[str] = set()
        self.continues = played is not None and played.live
        """Whether an earlier connection has read the stream, and it was live."""
        self._loads = 0
        self._read = 0
        self._stopped = False
        self.opening = True
        """Whether FFmpeg is still looking for what the stream consists of."""
        self.ended = False
        """Whether the last playlist that was read says that nothing follows."""
        self.failure: Failure | None = None
        """Why the stream cannot go on."""
        self.refusal: SourceError | None = None
        """The same, where it is ours to say."""
        self.missing = 0
        """Parts that could not be read and were left out."""

    @property
    def over(self) -> bool:
        """Whether a live stream has ended, and earlier connections have read all of it."""
        return self.continues and self.ended and self._read == 0 and self.failure is None

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> "_File":
        """Open a file."""
        return _File(self._playlist(url) if url in self._known else self._part(url, options))

    def stop(self) -> None:
        """Give FFmpeg nothing more. Called from any thread."""
        self._stopped = True

    def _playlist(self, url: str) -> Generator[bytes, None, None]:
        yield self._read_playlist(url).encode("utf-8", "surrogateescape")

    def _read_playlist(self, url: str) -> str:
        """The text that FFmpeg gets: after a failure one that ends, so that FFmpeg gives the frames that it holds."""
        if self._stopped or self.failure is not None:
            return _ENDED
        self._loads += 1
        try:
            if self.opening and self._loads > MAX_PLAYLISTS:
                raise av.error.InvalidDataError(0, f"more than {MAX_PLAYLISTS} playlists name one another")
            read = self._playlists.read(url, MAX_PLAYLIST_BYTES)
            self._known |= read.playlists
            if len(self._known) > MAX_PLAYLISTS:
                raise av.error.InvalidDataError(0, f"more than {MAX_PLAYLISTS} playlists")
            if not read.text.startswith(_HEAD):
                raise av.error.InvalidDataError(0, "it is no playlist")
        except (OSError, av.error.FFmpegError) as error:
            self.failure = error
            return _ENDED
        if not read.playlists:
            self._list(url, read)
        return read.text

    def _part(self, url: str, options: dict[str, str]) -> Generator[bytes, None, None]:
        if self._stopped or self.failure is not None:
            return
        part = url.removeprefix(ENCRYPTED)
        if part in self._passed_over:
            self._passed_over.remove(part)
            return
        given = {key: value for key, value in options.items() if value}
        begin, end = int(given.get("offset", 0)), int(given.get("end_offset", 0))
        try:
            opened = self._playlists.part(url, begin)
            if isinstance(opened, str):
                yield from self._by_ffmpeg(opened, part, given)
            else:
                with closing(opened):
                    self._note(part)
                    yield from self._range(opened, end - begin if end else None)
        except _GONE as error:
            self._miss(error)
        except (OSError, av.error.FFmpegError) as error:
            self.failure = error
        except SourceError as error:
            self.refusal, self.failure = error, PermissionError(errno.EACCES, "it may not be read")

    def _by_ffmpeg(self, address: str, part: str, options: dict[str, str]) -> Generator[bytes, None, None]:
        with av.open(
            address,
            format="data",
            options=self._playlists.options | options | {"raw_packet_size": str(_PART_BYTES)},
            timeout=self._timeout,
        ) as container:
            self._note(part)
            yield from self._bytes(container)

    def _range(self, opened: PartFile, size: int | None) -> Generator[bytes, None, None]:
        """The next ``size`` bytes, or all."""
        left = math.inf if size is None else size
        while not self._stopped and left > 0 and (data := opened.read(int(min(left, _PART_BYTES)))):
            left -= len(data)
            yield data
        if opened.error is not None:
            raise opened.error

    def _bytes(self, container: av.container.InputContainer) -> Generator[bytes, None, None]:
        endless = container.size <= 0
        try:
            for packet in container.demux():
                if self._stopped:
                    return
                if packet.size:
                    yield bytes(packet)
        except OSError as error:
            # So FFmpeg takes the end of a file whose server does not say its length.
            if not endless or error.errno != errno.EIO:
                raise

    def _list(self, url: str, read: Playlist) -> None:
        """A playlist of parts is read, for the first time or again."""
        self.ended = read.ended
        if self._played is not None:
            if self.continues and url not in self._beside:
                self._passed_over |= self._played.of(read)
            self._played.live = self._played.live or not read.ended
        self._beside[url] = read.beside

    def _note(self, part: str) -> None:
        """A part of a live stream is read: no later connection reads it, or what is before it."""
        if self._played is not None and self._played.live and not any(part in each for each in self._beside.values()):
            self._passed_over.clear()  # an address may be used again for what is new
            self._played.add(part)
            self._read += 1

    def _miss(self, error: Failure) -> None:
        self.missing += 1
        if self.missing == 1:
            reason = redact(error.strerror or str(error))
            logger.warning("%s: frames are missing, a part of it cannot be read: %s", self._name, reason)


class _File:
    """A file of FFmpeg's, from what ``chunks`` gives."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def close(self) -> None:
        """Close the connection."""
        self._chunks.close()
