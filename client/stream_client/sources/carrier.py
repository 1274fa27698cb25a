"""Connections of ours that bring the bytes of a container, which FFmpeg demuxes."""

from collections.abc import Generator
from dataclasses import replace
from typing import Protocol

from stream_client.errors import SourceError
from stream_client.sources.feed import Classify, FeedFrame, FeedProperties, FeedSound, LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed


class Carrier(Protocol):
    """Used once, by one thread. Only :meth:`abort` is for other threads.

    Its methods raise :class:`OSError` and :class:`~stream_client.errors.SourceError`.
    """

    container: str
    """FFmpeg's name of it."""

    def open(self) -> None:
        """Connect."""

    def read(self, size: int) -> bytes:
        """Wait for bytes, at most ``size``; empty at the end."""

    def close(self) -> None:
        """Release everything; safe after a failed :meth:`open`."""

    def abort(self) -> None:
        """Make a wait end now, with an error or without. Called from another thread."""


class CarriedFeed:
    """What ``carrier`` brings."""

    def __init__(self, live: LiveInput, classify: Classify, carrier: Carrier) -> None:
        self.live = live
        self._classify = classify
        self._carrier = carrier
        self._reader = _Reader(carrier)
        self._feed = FfmpegFeed(replace(live, format=carrier.container), classify, self._reader)

    @property
    def properties(self) -> FeedProperties:
        """Known once the first frame is there."""
        return self._feed.properties

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Connect, and decode until the end."""
        try:
            self._carrier.open()
            try:
                yield from self._feed.frames()
            except SourceError:
                if self._reader.error is None:
                    raise
            if self._reader.error is not None:
                raise self._reader.error
        except OSError as error:
            raise self._classify(self.live, error) from None
        finally:
            self._carrier.close()

    def abort(self) -> None:
        """Make a wait end now."""
        self._carrier.abort()


class _Reader:
    """Keeps the carrier's error until FFmpeg has seen the end."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.error: OSError | SourceError | None = None

    def read(self, size: int) -> bytes:
        if self.error is not None:
            return b""
        try:
            return self._carrier.read(size)
        except (OSError, SourceError) as error:
            self.error = error
            return b""
