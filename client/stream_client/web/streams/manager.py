"""All streams of an application."""

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stream_client.errors import TooManyError
from stream_client.plain_text import one_line
from stream_client.run_settings import check_settings
from stream_client.util.redact import redact
from stream_client.util.settings import Settings
from stream_client.web.model_server import ModelServer
from stream_client.web.streams.places import Places
from stream_client.web.streams.stream import Stream

MOST_KEPT = 200
"""Streams that are kept with their results, also when their runs are over."""


class StreamManager:
    """Makes streams, finds and deletes them. A context manager, which ends them all. Safe from any thread."""

    def __init__(self, places: Places, server: ModelServer, folder: Path, *, max_running: int) -> None:
        self._places = places
        self._server = server
        self._folder = folder
        self._max_running = max_running
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._streams: dict[str, Stream] = {}
        self._closed = False

    def __enter__(self) -> "StreamManager":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, name: str | None, given: Settings) -> Stream:
        """A stream that starts. Raises :class:`.StreamClientError` for settings that cannot work, and
        :class:`TooManyError`.
        """
        self._check_room()
        id = f"s{next(self._ids)}"
        folder = self._folder / id
        resolved = self._places.resolve(given, folder)  # this may take a second: not under the lock
        check_settings(resolved)
        with self._lock:
            self._check_room()
            stream = Stream(
                id,
                one_line(name or "") or redact(str(given["input_stream"]))[:100],
                given,
                resolved,
                resolve=self._places.resolve,
                server=self._server,
                folder=folder,
            )
            self._streams[id] = stream
            return stream

    def restart(self, stream: Stream) -> None:
        """See :meth:`.Stream.restart`; raises what :meth:`create` raises."""
        with self._lock:
            if stream.over:
                self._check_running()
        stream.restart()

    def get(self, id: str) -> Stream | None:
        """The stream of that id."""
        return self._streams.get(id)

    def all(self) -> Sequence[Stream]:
        """All streams, the oldest first."""
        with self._lock:
            return tuple(self._streams.values())

    def delete(self, id: str) -> bool:
        """End a stream, wait for that, and remove its results. Whether there was one."""
        with self._lock:
            stream = self._streams.pop(id, None)
        if stream is not None:
            stream.close()
        return stream is not None

    def stop(self) -> None:
        """End all runs, and start no other. Returns at once."""
        with self._lock:
            self._closed = True
            streams = tuple(self._streams.values())
        for stream in streams:
            stream.run.stop()
            stream.run.leave()

    def close(self) -> None:
        """End all runs together, wait for that, and remove all results."""
        self.stop()
        streams = self.all()
        with ThreadPoolExecutor(max(1, len(streams)), thread_name_prefix="close") as pool:
            for _ in pool.map(Stream.close, streams):
                pass

    def _check_room(self) -> None:
        if self._closed:
            raise TooManyError("the application ends")
        self._check_running()
        if len(self._streams) >= MOST_KEPT:
            raise TooManyError(f"{MOST_KEPT} streams are kept with their results: delete some")

    def _check_running(self) -> None:
        running = sum(not stream.over for stream in self._streams.values())
        if running >= self._max_running:
            raise TooManyError(f"{running} streams run, and no more may: stop one", option="max_streams")
