"""What the sender has to do next. No I/O, no threads; time is an argument."""

from collections import deque
from collections.abc import Iterable

from stream_client.pipeline.credits import Credits
from stream_client.pipeline.flow import FrameQueue, Window
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.phases import RunPhase, SessionPhase, SessionState
from stream_client.pipeline.steps import Done, Finish, Lost, Resend, SendFrame, Step
from stream_client.transport.base import Request


class Outgoing:
    """Frames before they are sent: in the queue, in the sender's hands, or to be sent again in a new session.

    The frames that were sent and not yet handed to the sinks are bounded, too: that keeps memory bounded behind
    a slow sink, so that the transport's thread never has to wait.
    """

    def __init__(
        self, queue: FrameQueue, window: Window, joiner: Joiner, session: SessionState, credits: Credits
    ) -> None:
        self.kept_back = False
        """Whether a frame waits for a credit."""
        self._queue = queue
        self._window = window
        self._joiner = joiner
        self._session = session
        self._credits = credits
        self._resends: deque[Request] = deque()
        self._converting = 0  # frames in the sender's hands: neither in the queue nor in the joiner

    def next_step(self, phase: RunPhase, dispatching: int, now: float) -> Step | None:
        """The next step, or ``None`` while there is none; ``dispatching`` frames are on their way to the sinks."""
        self.kept_back = False
        step = self._next_step(phase, dispatching, now)
        if not (self.kept_back or isinstance(step, SendFrame)):
            self._credits.withdraw()
        return step

    def _next_step(self, phase: RunPhase, dispatching: int, now: float) -> Step | None:
        session = self._session
        all_sent = phase is not RunPhase.READING and not len(self._queue) and not self._resends
        all_settled = all_sent and not self._joiner.unsettled
        if phase.is_over or (all_settled and session.phase is not SessionPhase.OPEN):
            return Done()
        if session.phase is SessionPhase.ENDED:
            return Done()
        if session.loss is not None:
            return Lost(session.loss)
        if self._resends:
            return Resend(self._resends.popleft())
        if self.may_send(dispatching):
            frame = self._queue.take() if self._credits.take() else None
            if frame is not None:
                self._converting += 1
                return SendFrame(frame, now)
            self.kept_back = True
        if all_sent and session.phase is SessionPhase.OPEN:
            session.finish()
            return Finish()
        return None

    @property
    def in_flight(self) -> int:
        """Frames that have a credit: in the sender's hands, or unanswered in a session that is not lost."""
        return self._converting + (0 if self._session.loss else self._joiner.in_flight)

    def converted(self) -> None:
        """A frame has left the sender's hands: it became a request, or could not."""
        self._converting -= 1

    def send_again(self, requests: Iterable[Request]) -> None:
        """These requests, in order, come before what is in the queue."""
        self._resends = deque(requests)

    def forget_resends(self) -> None:
        """Nothing is sent again."""
        self._resends.clear()

    def is_empty(self) -> bool:
        """Whether no frame is in the queue or in the sender's hands, and none is to be sent again."""
        return not len(self._queue) and not self._resends and not self._converting

    def has_room(self, dispatching: int) -> bool:
        """Whether few enough frames are unfinished for one more."""
        return len(self._joiner) + dispatching < 2 * self._window.limit + 4

    def may_send(self, dispatching: int) -> bool:
        """Whether a frame waits in the queue, and window and memory have room for it."""
        return len(self._queue) > 0 and self._joiner.in_flight < self._window.limit and self.has_room(dispatching)
