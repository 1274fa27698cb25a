"""What the threads of a run share, behind one lock: frames in the queue, in flight and settled."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from stream_client.errors import StreamClientError
from stream_client.frames import Frame, Stamps
from stream_client.monitoring.ledger import Ledger, LedgerSnapshot
from stream_client.monitoring.observer import FlowSnapshot, Observer
from stream_client.pipeline.answers import Answers
from stream_client.pipeline.credits import Credits, OwnCredits
from stream_client.pipeline.flow import FrameQueue, Window
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.outgoing import Outgoing
from stream_client.pipeline.pending import Settled
from stream_client.pipeline.phases import RunPhase, SessionPhase, SessionState
from stream_client.pipeline.steps import Done, SendFrame, Step
from stream_client.transport.base import Answer, Event, Placed, Request

logger = logging.getLogger(__name__)


class Exchange:
    """A monitor: every method is atomic, those that wait say so. Owns no thread.

    With ``resend`` a frame that is not answered in time does not fail: the server counts as lost, and the sender may
    carry the frame over to a new session. ``credits`` are what the stream has of those that it shares with others.
    With ``reuses`` a frame that is not sent can have the result before it.
    """

    def __init__(
        self,
        queue: FrameQueue,
        window: Window,
        joiner: Joiner,
        ledger: Ledger,
        observer: Observer,
        *,
        credits: Credits = OwnCredits(),  # noqa: B008 - without state
        resend: bool = False,
        reuses: bool = False,
        sink_queues: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._window = window
        self._joiner = joiner
        self._ledger = ledger
        self._observer = observer
        self._sink_queues = sink_queues
        self._clock = clock
        self._credits = credits
        self._reuses = reuses
        # Each thread waits for its own reason, and is woken for no other: a wake-up costs more than what it finds.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._steps = threading.Condition(self._lock)
        self._endings = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._endings_due = math.inf  # when the dispatcher looks by itself
        self._session = SessionState()
        self._outgoing = Outgoing(queue, window, joiner, self._session, credits)
        self._answers = Answers(joiner, window, ledger, self._session, resend=resend)
        self._phase = RunPhase.READING
        self._dispatching = 0  # frames in the dispatcher's hands

    # --- source side

    def offer(self, frame: Frame) -> bool:
        """Take a frame from the source; waits under policy ``block``. ``False``: no more are wanted."""
        offered = self._clock()
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return False
            self._enter()
            if frame.damaged:
                self._ledger.damage()
            while self._phase is RunPhase.READING and not self._queue.has_room():
                self._room.wait()
            if self._phase is not RunPhase.READING:
                self._ledger.drop("stopped")
                return False
            for _ in self._queue.offer(replace(frame, offered=offered)):
                self._ledger.drop("replaced")
            self._report()
            return True

    def reuse(self, frame: Frame) -> bool:
        """Give a frame the result before it, and do not send it. ``False`` where that cannot be."""
        with self._lock:
            # Frames that wait to be sent are not in the joiner yet, which keeps the order.
            ready = self._phase is RunPhase.READING and self._outgoing.is_empty()
            if not self._reuses or not ready or not self._outgoing.has_room(self._dispatching):
                return False
            self._enter()
            self._joiner.reuse(frame, self._clock())
            self._endings.notify_all()
            self._report()
            return True

    def skip(self, reason: str) -> None:
        """A frame of the source is left out before the queue."""
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return
            self._enter()
            if reason == "damaged":
                self._ledger.damage()
            self._ledger.drop(reason)

    def _enter(self) -> None:
        self._ledger.enter()
        self._observer.entered()

    def end_source(self) -> None:
        """No frame will be offered any more; those in the queue are still sent."""
        with self._lock:
            self._drain()

    # --- sender side

    def listener(self) -> Callable[[Event], None]:
        """A listener for a new session; events of earlier sessions are ignored from now on."""
        with self._lock:
            number = self._session.begin()
        return lambda event: self._on_event(event, number)

    def next_step(self) -> Step:
        """Wait for what the sender has to do."""
        with self._lock:
            while (step := self._step()) is None:
                self._steps.wait(self._credits.look_seconds if self._outgoing.kept_back else None)
        self._credits.wake_others()
        return step

    def _step(self) -> Step | None:
        now = self._clock()
        step = self._outgoing.next_step(self._phase, self._dispatching, now)
        match step:
            case SendFrame():
                self._room.notify_all()
            case Done() if self._session.phase is SessionPhase.ENDED and not self._phase.is_over:
                self._answers.end(now)
                self._report()
        return step

    def sending(self, frame: Frame, request: Request, stamps: Stamps, size: int) -> bool:
        """A frame, ``size`` bytes, is about to be handed to the transport; its answer may come from now on.

        ``False`` when the run was aborted meanwhile: the frame is booked and must not be sent.
        """
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return False
            self._outgoing.converted()
            if self._phase is RunPhase.ABORTED:
                self._ledger.drop("stopped")
                self._wake_all()
                return False
            self._joiner.sent(frame, request, stamps, self._clock())
            self._observer.bytes_sent(size)
            self._report()
            return True

    def resending(self, request: Request, size: int) -> None:
        """An unanswered request, ``size`` bytes, is about to be handed to the new session."""
        with self._lock:
            self._joiner.resent(request.timestamp, self._clock())
            self._ledger.resend()
            self._observer.bytes_sent(size)

    def not_sent(self, reason: str) -> None:
        """A frame that was taken could not be made into a request."""
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return
            self._outgoing.converted()
            self._ledger.fail(reason)
            self._report()

    def server_lost(self, error: StreamClientError) -> None:
        """What was sent and not answered waits for a new session, however long that takes, or has failed."""
        with self._lock:
            self._answers.server_lost(error, self._clock())
            self._report()

    def carry_over(self) -> bool:
        """A new session will carry every request that is still unanswered, in order.

        ``False``: sessions come and go, and none answers any frame.
        """
        with self._lock:
            self._outgoing.send_again(self._joiner.unanswered(self._clock()))
            self._session.forget_deadlines()
            self._report()
            self._wake_all()
            return not self._joiner.server_gone

    def give_up_unanswered(self, reason: str, error: StreamClientError) -> None:
        """What was sent and not answered has failed."""
        with self._lock:
            self._outgoing.forget_resends()
            self._answers.give_up(reason, error, self._clock())
            self._report()
            self._wake_all()

    # --- transport side

    def _on_event(self, event: Event, session: int) -> None:
        with self._lock:
            if session != self._session.number or self._phase.is_over:
                return
            if isinstance(event, Placed):
                self._credits.placed(event.address)
                return
            wrong = self._answers.take(event, self._clock())
            if isinstance(event, Answer):
                self._observer.bytes_received(event.size)
            deadline = self._joiner.next_deadline()
            if self._joiner.has_turn or (deadline is not None and deadline < self._endings_due):
                self._endings.notify_all()
            self._report()
        self._credits.wake_others()
        if wrong is not None:
            logger.warning("%s; such answers are ignored", wrong)

    # --- dispatcher side

    def next_settled(self) -> list[Settled] | None:
        """Wait for frames that have ended, in frame order; ``None`` when there will be no more.

        Delivered ones count once :meth:`dispatched` is called for them, the others at once.
        """
        ready = self._wait_settled()
        self._credits.wake_others()
        return ready

    def _wait_settled(self) -> list[Settled] | None:
        with self._lock:
            while True:
                now = self._clock()
                if self._answers.server_overdue(now):
                    self._wake_all()
                ready = self._answers.settled(now)
                self._credits.hold(self._outgoing.in_flight)
                if ready:
                    self._dispatching += sum(settled.outcome == "delivered" for settled in ready)
                    self._report()
                    return ready
                if self._ended():
                    return None
                # A frame that is sent meanwhile has longer than this, so that sending wakes nobody here.
                due = now + self._joiner.request_timeout
                self._endings_due = due if (deadline := self._joiner.next_deadline()) is None else min(due, deadline)
                self._endings.wait(None if math.isinf(self._endings_due) else max(0.0, self._endings_due - now))

    def _ended(self) -> bool:
        return self._phase is not RunPhase.READING and not len(self._joiner) and self._outgoing.is_empty()

    def dispatched(self, stamps: Stamps, *, reused: bool = False) -> None:
        """A result was handed to every sink. :meth:`delivered` or :meth:`not_taken` says later what became of it."""
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return
            self._dispatching -= 1
            if reused:
                self._ledger.reuse()
            else:
                self._window.delivered(stamps.delivered - stamps.captured)
            self._report()
        if reused:
            self._observer.reused(stamps)
        else:
            self._observer.delivered(stamps)

    def delivered(self) -> None:
        """An output took a result, the first of its outputs."""
        with self._lock:
            if self._phase is not RunPhase.CLOSED:
                self._ledger.deliver()

    def not_taken(self) -> None:
        """No output took a result."""
        with self._lock:
            if self._phase is not RunPhase.CLOSED:
                self._ledger.drop("no_output")

    def not_reused(self) -> None:
        """There is no result that a frame could reuse."""
        self._end_dispatching(self._ledger.drop, "latency_budget")

    def not_dispatched(self) -> None:
        """A result could not be handed over, since the run is ending."""
        self._end_dispatching(self._ledger.fail, "stopped")

    def _end_dispatching(self, book: Callable[[str], None], reason: str) -> None:
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return
            self._dispatching -= 1
            book(reason)
            self._wake()

    def close_books(self, kept: int | None) -> None:
        """Every thread has ended or was left behind: what such threads still hold has failed.

        ``kept``: as many of the results that outputs took can be read again; ``None``: all of them.
        """
        self._credits.leave()
        self._credits.wake_others()
        with self._lock:
            if self._phase is RunPhase.CLOSED:
                return
            self._phase = RunPhase.CLOSED
            if kept is not None:
                self._ledger.keep(kept)
            for _ in range(self._ledger.snapshot().pending):
                self._ledger.fail("stopped")
            self._wake_all()

    # --- control

    def stop(self) -> None:
        """Send nothing more: what is queued is dropped, what is in flight may still be answered."""
        with self._lock:
            self._drop_queued("stopped")
            self._drain()

    def wait_unanswered(self, timeout: float) -> bool:
        """Wait until nothing is in flight, at most ``timeout`` seconds; whether that came true."""
        with self._lock:
            return self._quiet.wait_for(lambda: not self._joiner.unsettled or self._phase.is_over, timeout)

    def abort(self, reason: str, error: StreamClientError) -> None:
        """End at once: everything unfinished fails with ``reason``."""
        with self._lock:
            if self._phase.is_over:
                return
            self._phase = RunPhase.ABORTED
            self._outgoing.forget_resends()
            self._drop_queued(reason)
            self._answers.give_up(reason, error, self._clock())
            self._report()

    @property
    def ever_answered(self) -> bool:
        """Whether the server has answered any frame of this run."""
        return self._session.ever_answered

    @property
    def session_answered(self) -> bool:
        """Whether the server has answered any frame of the newest session."""
        return self._session.has_answered

    def wake(self) -> None:
        """Look again whether a frame may be sent."""
        with self._lock:
            self._steps.notify_all()

    def show(self) -> None:
        """Report the counts to the observer as they are now."""
        with self._lock:
            self._report()

    def snapshot(self) -> LedgerSnapshot:
        """The ledger now."""
        with self._lock:
            return self._ledger.snapshot()

    def _drain(self) -> None:
        if self._phase is RunPhase.READING:
            self._phase = RunPhase.DRAINING
        self._wake_all()

    def _drop_queued(self, reason: str) -> None:
        for _ in self._queue.drain():
            self._ledger.drop(reason)

    def _report(self) -> None:
        """Frames moved: report the counts to the observer, and wake who has something to do."""
        counts = FlowSnapshot(
            in_flight=self._joiner.in_flight,
            window=self._window.limit,
            queued=len(self._queue),
            sink_queues=self._sink_queues(),
        )
        self._observer.gauges(counts)
        self._credits.hold(self._outgoing.in_flight)
        self._wake()

    def _wake(self) -> None:
        """Wake the sender if it may send; everybody where a run or a session is about to end."""
        if self._phase is not RunPhase.READING or self._session.phase is not SessionPhase.OPEN:
            self._wake_all()
        elif self._outgoing.may_send(self._dispatching):
            self._steps.notify_all()

    def _wake_all(self) -> None:
        for waiting in (self._room, self._steps, self._endings, self._quiet):
            waiting.notify_all()
