"""Answers joined to their frames and put back into frame order. No I/O, no threads; time is an argument.

In streaming, OVMS sends each output packet of a graph as its own message, in any order between outputs,
and says nothing where a graph has no packet for a frame. So a frame is settled when every expected output
is there, or will not come: a later packet of the same output has passed (and a grace, for servers that reorder),
the join timeout or the request timeout is over. Unary calls answer one frame each, whole.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from stream_client.errors import DeadlineError, StreamClientError
from stream_client.frames import Frame, Stamps
from stream_client.pipeline.pending import Credit, Outcome, Pending, Settled
from stream_client.pipeline.timeouts import JoinTimeout
from stream_client.transport.base import Answer, Request
from stream_client.transport.image_format import is_image


class Joiner:
    """Frames sent and not yet delivered, in frame order.

    A frame waits for the outputs that ``expected`` names (empty: the first answer settles it). Without its
    ``image_output`` it is not delivered; that is by default the first output that has an image. ``request_timeout``
    is how many seconds it waits for the image, ``join_timeout`` how many more for the other outputs, by default as
    the server needs (:class:`~stream_client.pipeline.timeouts.JoinTimeout`). The oldest frame is given up when it
    loses its session ``resend_timeout`` seconds after the first time: it may be what ends the sessions.
    """

    FIRST_IMAGE_SECONDS = 5.0
    """Seconds to wait for the first image. Without one, the graph has no image output: frames need none."""

    MOST_GIVEN_UP = 2
    """Frames in a row that no session answers. After them, the server counts as gone."""

    def __init__(
        self,
        *,
        expected: frozenset[str],
        image_output: str | None,
        request_timeout: float,
        join_timeout: float | None,
        resend_timeout: float = math.inf,
    ) -> None:
        self._expected = expected
        self._image_output = image_output
        self._image_unknown = image_output is None
        self.request_timeout = request_timeout
        self._join_timeout = JoinTimeout(join_timeout, request_timeout)
        self._resend_timeout = resend_timeout
        self._given_up = 0
        self._pending: OrderedDict[int, Pending] = OrderedDict()
        self._ordered: list[Settled] = []
        self._gone: OrderedDict[int, float | None] = OrderedDict()  # when a frame without an answer was sent
        self._in_flight = 0
        self._anonymous: list[StreamClientError] = []

    REMEMBERED = 1024
    """Timestamps of frames that have ended, to tell a late answer from one to no frame."""

    @property
    def unsettled(self) -> int:
        """Frames sent whose end is not known yet."""
        return sum(1 for _ in self._unsettled())

    @property
    def in_flight(self) -> int:
        """Frames sent and unanswered: what the window bounds."""
        return self._in_flight

    @property
    def server_gone(self) -> bool:
        """Whether frames were given up one after another, with no answer between them."""
        return self._given_up >= self.MOST_GIVEN_UP

    @property
    def has_turn(self) -> bool:
        """Whether the end of the next frame is known."""
        head = next(iter(self._pending.values()), None)
        return bool(self._ordered) or (head is not None and head.settled is not None)

    def __len__(self) -> int:
        """Frames sent and not yet popped: their number bounds the memory."""
        return len(self._pending) + len(self._ordered)

    def sent(self, frame: Frame, request: Request, stamps: Stamps, now: float) -> None:
        """A frame is on its way. Timestamps must increase."""
        deadline = now + self.request_timeout
        self._pending[request.timestamp] = Pending(frame, request, stamps, now, deadline, self._all_outputs())
        self._in_flight += 1

    def reuse(self, frame: Frame, now: float) -> None:
        """A frame that is not sent: it gets the result before it, in its turn. Every earlier frame was sent."""
        stamps = Stamps(frame.captured, now, now, now, now, now, now)
        request = Request(frame.timestamp, ())
        pending = Pending(frame, request, stamps, now, math.inf, {}, answered=True)
        pending.settled = Settled(frame, request, "delivered", {}, stamps, reused=True)
        self._pending[frame.timestamp] = pending

    def answer(self, answer: Answer, now: float) -> Credit:
        """Some or all outputs of a frame came back."""
        pending = self._pending.get(answer.timestamp)
        if pending is None or pending.settled is not None:
            self._join_timeout.came_late(answer.timestamp, answer.outputs, now)
            return self._of_no_use(answer.timestamp, now)
        self._given_up = 0
        duplicate = pending.add(answer.outputs)
        if self._image_unknown:
            self._find_image(answer)
        # Another output alone shows that the server works on the frame: the credit comes back with the image, and
        # then only the join timeout remains for a label.
        enough = answer.complete or self._image_output is None or self._image_output in pending.outputs
        credited = enough and not pending.answered
        if credited:
            self._return_credit(pending)
            pending.answered_at = now
            pending.stamps = replace(pending.stamps, received=answer.received, parsed=answer.parsed)
            self._join_timeout.came(pending.outputs, 0.0)
            for name in pending.waits:
                pending.give_up([name], now + self._bound(name, now - pending.sent))
        elif pending.answered:
            self._join_timeout.came(answer.outputs, now - pending.answered_at)
        if not answer.complete:  # separate calls overtake each other: an answer says nothing about an earlier frame
            self._passed(answer, now)
        if answer.complete or (pending.answered and not pending.waits):
            self._settle(pending)
        return Credit(
            round_trip=answer.received - pending.sent if credited else None,
            duplicate=duplicate,
        )

    def _of_no_use(self, timestamp: int, now: float) -> Credit:
        """For an answer that no frame waits for."""
        if timestamp in self._pending or timestamp in self._gone:
            sent = self._gone.get(timestamp)
            return Credit(late=True, overdue=None if sent is None else now - sent)
        oldest = next(iter(self._gone), None)
        forgotten = len(self._gone) == self.REMEMBERED and oldest is not None and timestamp < oldest
        return Credit(late=True) if forgotten else Credit(stray=True)

    def _find_image(self, answer: Answer) -> None:
        self._image_output = next((name for name, tensor in answer.outputs.items() if is_image(tensor)), None)
        self._image_unknown = self._image_output is None

    def _bound(self, name: str, round_trip: float) -> float:
        return self.FIRST_IMAGE_SECONDS if self._image_unknown else self._join_timeout.bound(name, round_trip)

    def _all_outputs(self) -> dict[str, float]:
        return dict.fromkeys(self._expected, math.inf)

    def _passed(self, answer: Answer, now: float) -> None:
        """Outputs come in order: earlier frames that lack one of these will not get it, after a grace."""
        until = now + self._join_timeout.grace
        for timestamp, pending in self._pending.items():
            if timestamp >= answer.timestamp:
                return
            pending.give_up(answer.outputs, until)
            if self._image_output is None or self._image_output in answer.outputs:
                pending.deadline = min(pending.deadline, until)

    def failure(self, timestamp: int | None, error: StreamClientError) -> None:
        """A request failed.

        An error inside a stream does not name its frame. It is kept until frames run out of time, or until
        as many errors have come as frames are unanswered.
        """
        if timestamp is not None:
            pending = self._pending.get(timestamp)
            if pending is not None and pending.settled is None:
                self._fail(pending, "server_error", error)
            return
        self._anonymous.append(error)
        unanswered = [pending for pending in self._unsettled() if not pending.answered]
        if len(self._anonymous) >= len(unanswered):
            for pending in unanswered:
                self._fail(pending, "server_error", error)
            self._anonymous.clear()

    def expire(self, now: float) -> None:
        """Settle what has run out of time."""
        for pending in self._unsettled():
            if pending.until > now:
                continue
            if pending.answered:
                self._image_unknown = False
                self._settle(pending)
            elif self._anonymous:
                self._fail(pending, "server_error", self._anonymous.pop(0))
            elif pending.deadline < pending.sent + self.request_timeout:
                self._end(pending, "dropped", "in_graph", None)
            else:
                error = DeadlineError(f"no answer within {self.request_timeout:g} s", option="request_timeout")
                self._fail(pending, "deadline", error)

    def overdue(self, now: float) -> bool:
        """Whether a frame got no answer within its whole time."""
        return not self._anonymous and any(
            pending.sent + self.request_timeout <= pending.deadline <= now
            for pending in self._unsettled()
            if not pending.answered
        )

    def next_deadline(self) -> float | None:
        """When :meth:`expire` has something to do."""
        return min((pending.until for pending in self._unsettled() if pending.until < math.inf), default=None)

    def end_of_answers(self) -> None:
        """The server said that nothing more comes: what has no answer was dropped inside its graph."""
        for pending in self._unsettled():
            if pending.answered:
                self._settle(pending)
            elif self._anonymous:
                self._fail(pending, "server_error", self._anonymous.pop(0))
            else:
                self._end(pending, "dropped", "in_graph", None)

    def unanswered(self, now: float) -> list[Request]:
        """Requests that a new session must carry again, in order; frames already answered are settled."""
        self._anonymous.clear()
        for pending in self._unsettled():
            if pending.answered:
                self._settle(pending)
        self._give_up_oldest(now)
        requests = []
        for pending in self._unsettled():
            pending.outputs.clear()
            pending.waits = self._all_outputs()
            requests.append(pending.request)
        return requests

    def _give_up_oldest(self, now: float) -> None:
        """Fail the oldest unanswered frame when its time is over. The time of those behind it begins then."""
        oldest = next(self._unsettled(), None)
        if oldest is None or oldest.lost_at is None or now - oldest.lost_at < self._resend_timeout:
            return
        text = f"no answer in {oldest.attempts} sessions within {self._resend_timeout:g} s"
        self._fail(oldest, "connection_lost", DeadlineError(text, option="reconnect_timeout"))
        self._given_up += 1
        for pending in self._unsettled():
            pending.lost_at = now

    def hold(self, now: float) -> None:
        """The server is away: unanswered frames do not run out of time until they are sent again."""
        for pending in self._unsettled():
            pending.deadline = math.inf
            pending.lost_at = now if pending.lost_at is None else pending.lost_at

    def resent(self, timestamp: int, now: float) -> None:
        """An unanswered frame was sent again."""
        pending = self._pending.get(timestamp)
        if pending is not None:
            pending.attempts += 1
            pending.sent = now
            pending.deadline = now + self.request_timeout

    def fail_unanswered(self, reason: str, error: StreamClientError) -> None:
        """Give up on every unanswered frame."""
        self._anonymous.clear()
        for pending in self._unsettled():
            if pending.answered:
                self._settle(pending)
            else:
                self._fail(pending, reason, error)

    def order(self, now: float) -> None:
        """Settled frames at the head leave the joiner: their turn has come."""
        while self._pending:
            head = next(iter(self._pending.values())).settled
            if head is None:
                return
            timestamp, pending = self._pending.popitem(last=False)
            self._gone[timestamp] = pending.sent if head.reason == "deadline" else None
            if len(self._gone) > self.REMEMBERED:
                self._gone.popitem(last=False)
            self._ordered.append(replace(head, stamps=replace(head.stamps, joined=now)))

    def pop(self, now: float) -> list[Settled]:
        """The settled frames at the head, in frame order."""
        self.order(now)
        ready, self._ordered = self._ordered, []
        return ready

    def _unsettled(self) -> Iterator[Pending]:
        return (pending for pending in self._pending.values() if pending.settled is None)

    def _settle(self, pending: Pending) -> None:
        if pending.waits:
            self._join_timeout.gave_up(pending.request.timestamp, pending.answered_at)
        self._end(pending, "delivered", "", None)

    def _fail(self, pending: Pending, reason: str, error: StreamClientError) -> None:
        self._end(pending, "failed", reason, error)

    def _end(self, pending: Pending, outcome: Outcome, reason: str, error: StreamClientError | None) -> None:
        self._return_credit(pending)
        pending.end(outcome, reason, error)

    def _return_credit(self, pending: Pending) -> None:
        if not pending.answered:
            pending.answered = True
            self._in_flight -= 1
