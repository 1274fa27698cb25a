"""Many streams in one process. None harms another."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType

from stream_client.errors import ConfigurationError
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.supervised import Complete, OnResult, StreamStatus, SupervisedStream
from stream_client.monitoring.statistics import Statistics
from stream_client.pipeline.shared_servers import SharedServers


class Fleet:
    """Runs streams until it is closed. A context manager. Safe from any thread.

    ``complete`` adds where a model server is to the settings of streams that name none.
    """

    def __init__(self, complete: Complete = lambda settings: settings) -> None:
        self._complete = complete
        self._servers = SharedServers()
        self._lock = threading.Lock()
        self._streams: dict[str, SupervisedStream] = {}
        self._closed = False

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            streams, self._streams = list(self._streams.values()), {}
        _end(streams)
        self._servers.close()

    def apply(self, plans: Iterable[StreamPlan], paused: Collection[str] | None = None) -> Mapping[str, str]:
        """Make these the streams: new ones start, those that are gone end, changed ones start anew, others go on.

        ``paused`` are the names of those that take no frame; ``None``: streams that go on stay as they are. Returns
        what is wrong with streams that could not start, by name.
        """
        wanted = {plan.name: plan for plan in plans}
        with self._lock:
            changed = [name for name, stream in self._streams.items() if wanted.get(name) != stream.plan]
            gone = [self._streams.pop(name) for name in changed]
        _end(gone)
        problems = {}
        for name, plan in wanted.items():
            if name not in self._streams:
                try:
                    self.add(plan, paused=name in (paused or ()))
                except ConfigurationError as error:
                    problems[name] = error.message
        with self._lock:
            for name, stream in self._streams.items():
                if paused is not None and stream.paused != (name in paused):
                    (stream.pause if name in paused else stream.resume)()
        return problems

    def add(self, plan: StreamPlan, *, paused: bool = False, on_result: OnResult | None = None) -> None:
        """Start a stream; raises :class:`.ConfigurationError` for one that cannot work, or whose name is taken.

        ``on_result`` is called with each of its results before an output gets it.
        """
        with self._lock:
            if self._closed:
                return
            if plan.name in self._streams:
                raise ConfigurationError(f"there is a stream {plan.name!r} already")
            self._streams[plan.name] = SupervisedStream(
                plan, self._complete, self._servers, paused=paused, on_result=on_result
            )

    def remove(self, name: str) -> None:
        """End a stream and forget it; raises :class:`.ConfigurationError` where there is none."""
        with self._lock:
            stream = self._find(name)
            del self._streams[name]
        _end([stream])

    def pause(self, name: str) -> None:
        """Let a stream take no frame; raises as :meth:`remove`."""
        with self._lock:
            self._find(name).pause()

    def resume(self, name: str) -> None:
        """Let a paused stream go on; raises as :meth:`remove`."""
        with self._lock:
            self._find(name).resume()

    def look(self, names: Collection[str]) -> None:
        """Have pictures of these streams, and of no others."""
        with self._lock:
            for name, stream in self._streams.items():
                stream.look(name in names)

    def pictures(self) -> Mapping[str, bytes]:
        """The newest image of each stream that is looked at, as JPEG, by name. Takes some milliseconds for each."""
        with self._lock:
            streams = list(self._streams.values())
        found = ((stream.plan.name, stream.jpeg()) for stream in streams)
        return {name: jpeg for name, jpeg in found if jpeg is not None}

    def status(self) -> list[StreamStatus]:
        """Every stream now, by name."""
        with self._lock:
            streams = sorted(self._streams.values(), key=lambda stream: stream.plan.name)
        return [stream.status() for stream in streams]

    def history(self, name: str) -> list[tuple[float, str]]:
        """What happened to a stream: seconds since 1970, and a line; raises as :meth:`remove`."""
        with self._lock:
            return self._find(name).history

    def statistics(self) -> Sequence[Statistics]:
        """Those of every stream, for its metrics."""
        with self._lock:
            return [stream.statistics for stream in self._streams.values()]

    def _find(self, name: str) -> SupervisedStream:
        stream = self._streams.get(name)
        if stream is None:
            raise ConfigurationError(f"there is no stream {name!r}")
        return stream


def _end(streams: Sequence[SupervisedStream]) -> None:
    """All at once: the last one has ended no later than a single one would."""
    for stream in streams:
        stream.stop()
    for stream in streams:
        stream.join()
