"""What the server's events mean for the frames in flight. No I/O, no threads; time is an argument."""

from stream_client.errors import (
    BadInputError,
    DeadlineError,
    ProtocolError,
    StreamClientError,
    UnknownServableError,
)
from stream_client.monitoring.ledger import Ledger
from stream_client.pipeline.flow import Window
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.pending import Settled
from stream_client.pipeline.phases import SessionState
from stream_client.transport.base import Answer, Closed, Event, Failure


class Answers:
    """Brings events and deadlines to joiner, window, ledger and session.

    With ``resend`` a frame that is not answered in time does not fail: the server counts as lost, and the sender may
    carry the frame over to a new session.
    """

    def __init__(self, joiner: Joiner, window: Window, ledger: Ledger, session: SessionState, *, resend: bool) -> None:
        self._joiner = joiner
        self._window = window
        self._ledger = ledger
        self._session = session
        self._resend = resend
        self._said: set[type[StreamClientError]] = set()

    def take(self, event: Event, now: float) -> StreamClientError | None:
        """An event of the session came. Returns what is wrong with an answer, the first time that it is seen."""
        wrong: StreamClientError | None = None
        match event:
            case Answer():
                wrong = self._take_answer(event, now)
            case Failure():
                self._take_failure(event, now)
            case Closed():
                self._session.closed(event.error)
        self._joiner.order(now)
        return wrong

    def server_overdue(self, now: float) -> bool:
        """Whether the server has just been found silent, so that its session is lost."""
        if not self._resend or not self._joiner.overdue(now):
            return False
        self._lose(DeadlineError("the server has stopped answering"), now)
        return True

    def settled(self, now: float) -> list[Settled]:
        """The frames that have ended, in frame order. Those that are not delivered are in the ledger already."""
        self._joiner.expire(now)
        ready = self._joiner.pop(now)
        for settled in ready:
            if settled.outcome == "dropped":
                self._ledger.drop(settled.reason)
            elif settled.outcome == "failed":
                self._ledger.fail(settled.reason)
                if settled.reason == "deadline":
                    self._session.deadline_missed()
        return ready

    def server_lost(self, error: StreamClientError, now: float) -> None:
        """What was sent and not answered waits for a new session, however long that takes, or has failed."""
        if self._resend:
            self._joiner.hold(now)
        else:
            self.give_up("connection_lost", error, now)

    def give_up(self, reason: str, error: StreamClientError, now: float) -> None:
        """What was sent and not answered has failed."""
        self._joiner.fail_unanswered(reason, error)
        self._joiner.order(now)

    def end(self, now: float) -> None:
        """The server said that nothing more comes."""
        self._joiner.end_of_answers()
        self._joiner.order(now)

    def _take_answer(self, answer: Answer, now: float) -> StreamClientError | None:
        credit = self._joiner.answer(answer, now)
        if credit.stray:
            self._ledger.stray()
            return self._once(
                ProtocolError(f"an answer of the server is to timestamp {answer.timestamp}, which no frame has")
            )
        self._session.answered()
        if credit.late:
            self._ledger.late()
        if credit.duplicate:
            self._ledger.duplicate()
        if credit.round_trip is not None:
            self._window.answered(credit.round_trip, self._joiner.in_flight, now)
        if credit.overdue is None:
            return None
        text = f"an answer came after {credit.overdue:.1f} s, when its frame had failed already"
        return self._once(DeadlineError(text, option="request_timeout"))

    def _once(self, wrong: StreamClientError) -> StreamClientError | None:
        """``wrong`` for the first of its kind."""
        known = type(wrong) in self._said
        self._said.add(type(wrong))
        return None if known else wrong

    def _take_failure(self, failure: Failure, now: float) -> None:
        if self._resend and isinstance(failure.error, DeadlineError):
            self._lose(failure.error, now)
            return
        self._joiner.failure(failure.timestamp, failure.error)
        hopeless = isinstance(failure.error, BadInputError | UnknownServableError | ProtocolError)
        if not self._session.ever_answered and (hopeless or failure.timestamp is None):
            # The server refuses the very first request: it would refuse all others too.
            self._session.closed(failure.error)

    def _lose(self, error: DeadlineError, now: float) -> None:
        self._joiner.hold(now)
        self._session.closed(error)
