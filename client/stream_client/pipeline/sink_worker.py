"""A sink with its own bounded queue and thread: a slow sink is measured, a broken one ends the run."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from stream_client.errors import SinkError, StreamClientError, as_error
from stream_client.frames import Result, StreamInfo
from stream_client.monitoring.connections import Reconnecting, watch
from stream_client.monitoring.events import EventsSnapshot, FindsEvents
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.outputs import OutputSnapshot, Publishing
from stream_client.pipeline.deliveries import Deliveries
from stream_client.sinks.base import CountsKept, Sink
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.owned_thread import OwnedThread


class SinkWorker:
    """Owns the thread that opens, feeds and closes one sink.

    ``on_end`` is called from that thread: with the error when the sink failed, with ``None`` when it asks
    the run to end. The sink is closed in every case.
    """

    CAPACITY = 4

    def __init__(
        self, sink: Sink, observer: Observer, on_end: Callable[[StreamClientError | None], None], name: str
    ) -> None:
        self.name = name
        self._sink = sink
        self._publishing = sink if isinstance(sink, Publishing) else None  # such checks are slow
        self._observer = observer
        self._on_end = on_end
        self._queue: BoundedQueue[Result] = BoundedQueue(self.CAPACITY)
        self._opened = threading.Event()
        self._open_error: StreamClientError | None = None
        self._thread: OwnedThread | None = None
        self._on_result_end: Callable[[Result, bool], None] = lambda result, sent: None
        self._counting = threading.Lock()
        self._counts = OutputSnapshot()

    @property
    def depth(self) -> int:
        """Results waiting."""
        return len(self._queue)

    @property
    def kept(self) -> int | None:
        """How many results are in the sink, from the first one on; ``None`` where it may leave some out."""
        return self._counts.sent if self._publishing is None else None

    def follow(self, deliveries: Deliveries) -> None:
        """Tell ``deliveries`` what becomes of each result. Called before the first one."""
        self._on_result_end = lambda result, sent: deliveries.ended(result.frame.index, taken=sent)

    def output(self) -> OutputSnapshot:
        """What became of the results so far."""
        if self._publishing is None:
            return self._counts
        published = self._publishing.output()
        return replace(published, lost=published.lost + self._counts.lost)

    def events(self) -> EventsSnapshot:
        """What the sink has found so far."""
        return self._sink.event_counts() if isinstance(self._sink, FindsEvents) else EventsSnapshot()

    def start(self, info: StreamInfo) -> None:
        """Open the sink in its thread and wait for that; raises its :class:`SinkError`."""
        watch(self.name, self._sink, self._observer)
        if self._publishing is not None:
            self._publishing.follow(self._end_result)
        self._thread = OwnedThread(self._run, f"sink {self.name}", (info,))
        self._thread.start()
        # As in StreamClient.wait: a signal's handler runs only when this thread comes around.
        while not self._opened.wait(0.2) and not self._thread.overdue:
            pass
        if not self._opened.is_set():
            raise SinkError(f"{self.name}: stopped before it was open")
        if self._open_error is not None:
            self._thread.join()
            raise self._open_error

    def put(self, result: Result) -> bool:
        """Wait for room and hand over a result; ``False`` when the sink has ended."""
        if self._queue.put(result):
            return True
        self._lose(result)
        return False

    def finish(self) -> None:
        """Take nothing more; what is queued is still written."""
        self._queue.close()

    def expect_end(self) -> None:
        """The run was stopped: a sink that is stuck is not waited for any longer than a stop may take."""
        if self._thread is not None:
            self._thread.expect_end()

    def join(self) -> None:
        """Wait until the sink is closed, or left behind."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, info: StreamInfo) -> None:
        try:
            self._observer.state(self.name, "connecting")
            self._sink.open(info)
        except Exception as exception:  # noqa: BLE001 - raised by start(), in the owner's thread
            self._open_error = as_error(exception, SinkError, self.name)
        else:
            if not isinstance(self._sink, Reconnecting):  # such a sink says itself when it is live
                self._observer.state(self.name, "live")
        self._opened.set()
        error = self._open_error
        asked_to_end = False
        if error is None:
            try:
                asked_to_end = self._feed()
            except Exception as exception:  # noqa: BLE001 - handed to the owner below
                error = as_error(exception, SinkError, self.name)
        self._queue.close()
        try:
            self._sink.close()
        except Exception as exception:  # noqa: BLE001 - handed to the owner below
            error = error or as_error(exception, SinkError, self.name)
        while (result := self._queue.get()) is not None:
            self._lose(result)
        self._count_kept()
        self._observer.state(self.name, "ended")
        if self._open_error is None and (error is not None or asked_to_end):
            self._on_end(error)

    def _feed(self) -> bool:
        while (result := self._queue.get()) is not None:
            started = time.monotonic()
            wants_more = self._write(result)
            ended = time.monotonic()
            self._observer.sink_written(self.name, started - result.stamps.delivered, ended - started)
            self._observer.result_written(self.name, result, started, ended)
            if not wants_more:
                return True
        return False

    def _end_result(self, result: Result, sent: bool) -> None:
        self._on_result_end(result, sent)

    def _write(self, result: Result) -> bool:
        if self._publishing is not None:
            return self._sink.write(result)
        try:
            wants_more = self._sink.write(result)
        except Exception:
            self._lose(result)
            raise
        with self._counting:
            self._counts = replace(self._counts, sent=self._counts.sent + 1)
        self._on_result_end(result, True)
        return wants_more

    def _count_kept(self) -> None:
        """Correct the counts: some of what the sink took may be lost, now that it is closed."""
        if isinstance(self._sink, CountsKept):
            with self._counting:
                kept = min(self._sink.kept, self._counts.sent)
                lost = self._counts.lost + self._counts.sent - kept
                self._counts = replace(self._counts, sent=kept, lost=lost)

    def _lose(self, result: Result) -> None:
        with self._counting:
            self._counts = replace(self._counts, lost=self._counts.lost + 1)
        self._on_result_end(result, False)
