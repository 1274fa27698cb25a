"""The thread that owns the source: opens it, reads it, offers its frames."""

import threading
import time
from collections.abc import Callable

from stream_client.errors import SourceError, StreamClientError, as_error
from stream_client.frames import Frame, StreamInfo
from stream_client.monitoring.connections import watch
from stream_client.monitoring.observer import Observer
from stream_client.options import DamagePolicy
from stream_client.pipeline.damaged_frames import DamagedFrames
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.latency_budget import LatencyBudget
from stream_client.pipeline.references import References
from stream_client.sources.base import CountsUnreadable, Source
from stream_client.util.owned_thread import OwnedThread


class Reader:
    """Reads until the end, a limit or a stop. ``on_error`` is called from the reader's thread.

    ``max_fps`` and ``budget`` say which frames are left out.
    """

    def __init__(
        self,
        source: Source,
        observer: Observer,
        on_error: Callable[[StreamClientError], None],
        *,
        limit_frames: int = 0,
        max_fps: float | None = None,
        budget: LatencyBudget | None = None,
    ) -> None:
        self._source = source
        self._observer = observer
        self._on_error = on_error
        self._limit_frames = limit_frames
        self._period = 1.0 / max_fps if max_fps else 0.0
        self._budget = budget
        self._opened = threading.Event()
        self._go = threading.Event()
        self._stopping = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._info: StreamInfo | None = None
        self._open_error: StreamClientError | None = None
        self._exchange: Exchange | None = None
        self._damaged = DamagedFrames("pass")
        self._offering = False
        self._references = References()
        self._thread = OwnedThread(self._run, "source")

    def open(self) -> StreamInfo:
        """Open the source in its thread and wait for that; raises its :class:`SourceError`."""
        self._observer.state("source", "connecting")
        watch("source", self._source, self._observer)
        self._thread.start()
        # As in StreamClient.wait: a signal's handler runs only when this thread comes around.
        while not self._opened.wait(0.2) and not self._thread.overdue:
            pass
        if self._info is None:
            self._thread.join()
            raise self._open_error or SourceError("the source was stopped before it opened")
        return self._info

    def start(self, exchange: Exchange, damaged: DamagePolicy = "pass") -> None:
        """Begin to read into ``exchange``; ``damaged`` says what becomes of damaged frames."""
        self._exchange = exchange
        self._damaged = DamagedFrames(damaged)
        self._go.set()

    def pause(self) -> None:
        """Offer no frame until :meth:`resume`: a file waits, a live source's frames are dropped. Safe at any time."""
        self._flowing.clear()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._flowing.set()

    def stop(self) -> None:
        """Stop reading; a waiting read returns soon. Safe at any time, from any thread."""
        self._stopping.set()
        self._thread.expect_end()
        self._go.set()
        self._flowing.set()
        self._source.interrupt()

    def join(self) -> None:
        """Wait until the source is closed. After :meth:`stop` a source that is stuck is left behind."""
        self._thread.join()
        if self._thread.overdue and self._exchange is not None and not self._offering:
            self._exchange.end_source()

    def _run(self) -> None:
        try:
            try:
                self._info = self._source.open()
                self._observer.state("source", "live")
            except Exception as exception:  # noqa: BLE001 - raised by open(), in the owner's thread
                self._open_error = as_error(exception, SourceError, "the source failed")
            self._opened.set()
            if self._info is not None:
                self._go.wait()
            if self._info is not None and self._exchange is not None:
                self._read(self._exchange, self._info)
        except Exception as exception:  # noqa: BLE001 - handed to the owner
            if not self._stopping.is_set():
                self._on_error(as_error(exception, SourceError, "the source failed"))
        finally:
            if self._exchange is not None:
                self._exchange.end_source()
            try:
                self._source.close()
            except Exception as exception:  # noqa: BLE001 - handed to the owner
                self._on_error(as_error(exception, SourceError, "the source failed"))
            self._observer.state("source", "ended")

    def _read(self, exchange: Exchange, info: StreamInfo) -> None:
        gaps = _Gaps(self._source, exchange)
        count = 0
        due = time.monotonic()
        taken: float | None = None
        while not self._stopping.is_set():
            try:
                frame = self._source.read()
            except SourceError:
                gaps.book(None)
                raise
            if gaps.book(frame):
                self._references.missing()
            if frame is None:
                break
            if not self._flowing.is_set() and not info.live:
                self._flowing.wait()
                due, taken = time.monotonic(), None
            too_early = self._period > 0 and info.live and frame.captured < due
            if self._period and not too_early:
                due = self._pace(frame, due, info)
            if taken is not None:
                self._observer.source_read(time.monotonic() - taken)
            if reason := self._reason_to_skip(frame, too_early=too_early):
                self._leave_out(exchange, frame, reason)
            elif (following := self._references.follow(frame)) is None:
                exchange.skip("no_key_frame")
            elif not self._offer(exchange, following):
                break
            else:
                count += 1
                if count == self._limit_frames:
                    break
            taken = time.monotonic()

    def _reason_to_skip(self, frame: Frame, *, too_early: bool) -> str:
        """Why a frame is left out; empty where it is not."""
        if not self._flowing.is_set():
            return "paused"
        if self._damaged.skips(frame):
            return "damaged"
        if too_early:
            return "max_fps"
        return "latency_budget" if self._budget is not None and self._budget.leaves_out() else ""

    def _leave_out(self, exchange: Exchange, frame: Frame, reason: str) -> None:
        if reason == "latency_budget" and exchange.reuse(frame):
            return
        self._references.dropped(frame)
        exchange.skip(reason)

    def _offer(self, exchange: Exchange, frame: Frame) -> bool:
        self._offering = True
        try:
            return exchange.offer(frame)
        finally:
            self._offering = False

    def _pace(self, frame: Frame, due: float, info: StreamInfo) -> float:
        """Hold a file back to the rate; returns when the next frame is due."""
        if not info.live:
            self._stopping.wait(max(0.0, due - time.monotonic()))
            return due + self._period
        return max(due + self._period, frame.captured)


class _Gaps:
    """Books the frames that a source left out."""

    def __init__(self, source: Source, exchange: Exchange) -> None:
        self._counter = source if isinstance(source, CountsUnreadable) else None
        self._exchange = exchange
        self._expected = self._unreadable = 0

    def book(self, frame: Frame | None) -> int:
        """Book what is missing before ``frame``, or before the end; returns how many frames the source dropped."""
        total = self._unreadable if self._counter is None else self._counter.unreadable
        unreadable, self._unreadable = total - self._unreadable, total
        for _ in range(unreadable):
            self._exchange.skip("unreadable")
        if frame is None:
            return 0
        overwritten = max(0, frame.index - self._expected - unreadable)
        for _ in range(overwritten):
            self._exchange.skip("overwritten")
        self._expected = frame.index + 1
        return overwritten
