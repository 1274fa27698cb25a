"""What the threads of a run share: queue, window, joiner and ledger behind one lock."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from stream_client.errors import (
    BadInputError,
    ConnectionLostError,
    DeadlineError,
    ProtocolError,
    StreamClientError,
    UnknownServableError,
)
from stream_client.frames import Frame, Stamps
from stream_client.monitoring.ledger import Ledger, LedgerSnapshot
from stream_client.monitoring.observer import FlowSnapshot, Observer
from stream_client.pipeline.flow import FrameQueue, Window
from stream_client.pipeline.joiner import Joiner, Settled
from stream_client.pipeline.steps import Done, Finish, Lost, Resend, SendFrame, Step
from stream_client.transport.base import Answer, Closed, Event, Failure, Request


class Exchange:
    """A monitor: every method is atomic, those that wait say so. Owns no thread.

    The frames that were sent and not yet handed to the sinks are bounded, too: that keeps memory bounded behind
    a slow sink, so that the transport's thread never has to wait. With ``resend`` a frame that is not answered in
    time does not fail: the server counts as lost, and the sender may carry the frame over to a new session.
    """

    SILENT_DEADLINES = 3
    """So many deadlines in a row, with no answer between them, mean that the server is gone."""

    def __init__(
        self,
        queue: FrameQueue,
        window: Window,
        joiner: Joiner,
        ledger: Ledger,
        observer: Observer,
        *,
        resend: bool = False,
        sink_queues: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._window = window
        self._joiner = joiner
        self._ledger = ledger
        self._observer = observer
        self._resend = resend
        self._sink_queues = sink_queues
        self._clock = clock
        self._changed = threading.Condition()
        self._resends: deque[Request] = deque()
        self._generation = 0
        self._closed: Closed | None = None
        self._source_ended = False
        self._finished = False
        self._aborted = False
        self._taken = 0  # in the sender's hands: neither in the queue nor in the joiner
        self._dispatching = 0
        self._ever_answered = False
        self._deadlines_in_a_row = 0

    # --- source side

    def offer(self, frame: Frame) -> bool:
        """Take a frame from the source; waits under policy ``block``. ``False``: no more are wanted."""
        offered = self._clock()
        with self._changed:
            self._enter()
            self._changed.wait_for(lambda: self._source_ended or self._queue.has_room())
            if self._source_ended:
                self._ledger.drop("stopped")
                return False
            if self._queue.offer(replace(frame, offered=offered)) is not None:
                self._ledger.drop("replaced")
            self._tell()
            return True

    def skip(self, reason: str) -> None:
        """A frame of the source is left out before the queue."""
        with self._changed:
            self._enter()
            self._ledger.drop(reason)

    def _enter(self) -> None:
        self._ledger.enter()
        self._observer.entered()

    def end_source(self) -> None:
        """No frame will be offered any more; those in the queue are still sent."""
        with self._changed:
            self._source_ended = True
            self._changed.notify_all()

    # --- sender side

    def listener(self) -> Callable[[Event], None]:
        """A listener for a new session; events of earlier sessions are ignored from now on."""
        with self._changed:
            self._generation += 1
            self._closed = None
            self._finished = False
            generation = self._generation
        return lambda event: self._on_event(event, generation)

    def next_step(self) -> Step:
        """Wait for what the sender has to do."""
        with self._changed:
            while True:
                step = self._step()
                if step is not None:
                    return step
                self._changed.wait()

    def _step(self) -> Step | None:
        all_sent = self._source_ended and not len(self._queue) and not self._resends
        settled = all_sent and not self._joiner.unsettled
        if self._aborted or (settled and (self._finished or self._closed is not None)):
            return Done()
        if self._closed is not None:
            if self._finished and self._closed.error is None:
                self._joiner.end_of_answers()
                self._joiner.order(self._clock())
                self._tell()
                return Done()
            return Lost(self._closed.error or ConnectionLostError("the server ended the stream"))
        if self._joiner.in_flight < self._window.limit or self._resends:
            if self._resends:
                return Resend(self._resends.popleft())
            if len(self._joiner) + self._dispatching < 2 * self._window.limit + 4:
                frame = self._queue.take()
                if frame is not None:
                    self._taken += 1
                    self._changed.notify_all()
                    return SendFrame(frame, self._clock())
        if all_sent and not self._finished:
            self._finished = True
            return Finish()
        return None

    def sending(self, frame: Frame, request: Request, stamps: Stamps, size: int) -> bool:
        """A frame, ``size`` bytes, is about to be handed to the transport; its answer may come from now on.

        ``False`` when the run was aborted meanwhile: the frame is booked and must not be sent.
        """
        with self._changed:
            self._taken -= 1
            if self._aborted:
                self._ledger.drop("stopped")
                self._changed.notify_all()
                return False
            self._joiner.sent(frame, request, stamps, self._clock())
            self._observer.bytes_sent(size)
            self._tell()
            return True

    def resending(self, request: Request, size: int) -> None:
        """An unanswered request, ``size`` bytes, is about to be handed to the new session."""
        with self._changed:
            self._joiner.resent(request.timestamp, self._clock())
            self._ledger.resend()
            self._observer.bytes_sent(size)

    def not_sent(self, reason: str) -> None:
        """A frame that was taken could not be made into a request."""
        with self._changed:
            self._taken -= 1
            self._ledger.fail(reason)
            self._changed.notify_all()

    def server_lost(self, error: StreamClientError) -> None:
        """What was sent and not answered waits for a new session, however long that takes, or has failed."""
        if not self._resend:
            self.give_up_unanswered("connection_lost", error)
            return
        with self._changed:
            self._joiner.hold()
            self._deadlines_in_a_row = 0

    def carry_over(self) -> None:
        """A new session will carry every request that is still unanswered, in order."""
        with self._changed:
            self._resends = deque(self._joiner.unanswered())
            self._deadlines_in_a_row = 0
            self._changed.notify_all()

    def give_up_unanswered(self, reason: str, error: StreamClientError) -> None:
        """What was sent and not answered has failed."""
        with self._changed:
            self._resends.clear()
            self._joiner.fail_unanswered(reason, error)
            self._joiner.order(self._clock())
            self._deadlines_in_a_row = 0
            self._tell()

    # --- transport side

    def _on_event(self, event: Event, generation: int) -> None:
        with self._changed:
            if generation != self._generation or self._aborted:
                return
            now = self._clock()
            match event:
                case Answer():
                    self._on_answer(event, now)
                case Failure():
                    self._on_failure(event)
                case Closed():
                    self._closed = event
            self._joiner.order(now)
            self._tell()

    def _on_answer(self, answer: Answer, now: float) -> None:
        self._ever_answered = True
        self._deadlines_in_a_row = 0
        credit = self._joiner.answer(answer, now)
        self._observer.bytes_received(answer.size)
        if credit.late:
            self._ledger.late()
        if credit.duplicate:
            self._ledger.duplicate()
        if credit.round_trip is not None:
            self._window.answered(credit.round_trip, self._joiner.in_flight, now)

    def _on_failure(self, failure: Failure) -> None:
        if self._resend and isinstance(failure.error, DeadlineError):
            self._lose(failure.error)
            return
        self._joiner.failure(failure.timestamp, failure.error)
        hopeless = isinstance(failure.error, BadInputError | UnknownServableError | ProtocolError)
        if not self._ever_answered and (hopeless or failure.timestamp is None):
            # The very first request is refused: so would all others be.
            self._closed = Closed(failure.error)

    # --- dispatcher side

    def next_settled(self) -> list[Settled] | None:
        """Wait for frames whose end is known, in frame order; ``None`` when there will be no more.

        Delivered ones count once :meth:`dispatched` is called for them, the others at once.
        """
        with self._changed:
            while True:
                now = self._clock()
                if self._resend and self._joiner.overdue(now):
                    self._lose(DeadlineError("the server has stopped answering"))
                self._joiner.expire(now)
                ready = self._joiner.pop(now)
                if ready:
                    self._book(ready)
                    self._tell()
                    return ready
                if self._ended():
                    return None
                deadline = self._joiner.next_deadline()
                self._changed.wait(None if deadline is None else max(0.0, deadline - now))

    def _lose(self, error: DeadlineError) -> None:
        self._joiner.hold()
        if self._closed is None:
            self._closed = Closed(error)
        self._changed.notify_all()

    def _ended(self) -> bool:
        if len(self._joiner) or self._resends or self._taken:
            return False
        return self._aborted or (self._source_ended and not len(self._queue))

    def _book(self, ready: list[Settled]) -> None:
        for settled in ready:
            if settled.outcome == "delivered":
                self._dispatching += 1
            elif settled.outcome == "dropped":
                self._ledger.drop(settled.reason)
            else:
                self._ledger.fail(settled.reason)
                if settled.reason == "deadline":
                    self._deadlines_in_a_row += 1
        if self._deadlines_in_a_row >= self.SILENT_DEADLINES and self._closed is None:
            self._closed = Closed(DeadlineError("the server has stopped answering"))

    def dispatched(self, stamps: Stamps) -> None:
        """A result was handed to every sink."""
        with self._changed:
            self._dispatching -= 1
            self._ledger.deliver()
            self._window.delivered(stamps.delivered - stamps.captured)
            self._tell()
        self._observer.delivered(stamps)

    def not_dispatched(self) -> None:
        """A result could not be handed over, since the run is ending."""
        with self._changed:
            self._dispatching -= 1
            self._ledger.fail("stopped")
            self._changed.notify_all()

    # --- control

    def stop(self) -> None:
        """Send nothing more: what is queued is dropped, what is in flight may still be answered."""
        with self._changed:
            self._source_ended = True
            for _ in self._queue.drain():
                self._ledger.drop("stopped")
            self._changed.notify_all()

    def wait_unanswered(self, timeout: float) -> bool:
        """Wait until nothing is in flight, at most ``timeout`` seconds; whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._joiner.unsettled or self._aborted, timeout)

    def abort(self, reason: str, error: StreamClientError) -> None:
        """End at once: everything unfinished fails with ``reason``."""
        with self._changed:
            self._aborted = True
            self._source_ended = True
            self._resends.clear()
            for _ in self._queue.drain():
                self._ledger.drop(reason)
            self._joiner.fail_unanswered(reason, error)
            self._joiner.order(self._clock())
            self._tell()

    @property
    def ever_answered(self) -> bool:
        """Whether the server has answered any frame of this run."""
        return self._ever_answered

    def show(self) -> None:
        """Tell the observer the counts as they are now."""
        with self._changed:
            self._tell()

    def snapshot(self) -> LedgerSnapshot:
        """The ledger now."""
        with self._changed:
            return self._ledger.snapshot()

    def _tell(self) -> None:
        """Wake whoever waits, and show the counts as they are now."""
        self._observer.gauges(self._snapshot())
        self._changed.notify_all()

    def _snapshot(self) -> FlowSnapshot:
        return FlowSnapshot(
            in_flight=self._joiner.in_flight,
            window=self._window.limit,
            queued=len(self._queue),
            sink_queues=self._sink_queues(),
        )
