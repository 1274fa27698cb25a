"""A thread that delivers messages to one output, whatever becomes of the server behind it."""

import logging
import math
import threading
import time
from collections import deque

from stream_client.errors import MessageRefusedError
from stream_client.events.event import Message
from stream_client.events.outputs.base import EventOutput
from stream_client.events.rules import Rule
from stream_client.monitoring.events import MessageCounts
from stream_client.util.backoff import Backoff
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact

logger = logging.getLogger(__name__)


class Delivery:
    """Delivers in order and tries again with back-off. :meth:`put` never waits.

    At most ``capacity`` messages wait. Beyond that the oldest is dropped and counted.
    """

    CAPACITY = 1000

    LONGEST_FINISH = 30.0
    """Seconds in which what waits at the end is delivered, as long as that goes on."""

    def __init__(self, output: EventOutput, *, capacity: int = CAPACITY, backoff: Backoff | None = None) -> None:
        self.name = redact(output.name)
        self._output = output
        self._capacity = capacity
        self._backoff = backoff or Backoff(first=0.2, longest=5.0)
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._on_its_way: Message | None = None
        """The first one that waits, unless it was dropped meanwhile."""
        self._sent = self._dropped = self._refused = 0
        self._said = ""
        """The last refusal: the same one is said once."""
        self._within = self._deadline = self._last_deadline = math.inf
        self._thread: OwnedThread | None = None

    @property
    def counts(self) -> MessageCounts:
        """So far."""
        with self._changed:
            first = self._waiting[0] if self._waiting else None
            in_doubt = self._on_its_way is not None and self._on_its_way is not first
            return MessageCounts(self._sent, self._dropped, self._refused, len(self._waiting), int(in_doubt))

    def start(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Open the output and begin; raises its :class:`.StreamClientError`."""
        self._output.open(stream, rules)
        self._thread = OwnedThread(self._run, f"events to {self.name}", limit=0.4)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Take a message."""
        self._output.expect(message)
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self._dropped += 1
                if self._dropped == 1:
                    logger.warning("%s: %d events wait: the oldest are dropped", self.name, self._capacity)
            self._waiting.append(message)
            self._changed.notify_all()

    def finish(self, within: float) -> None:
        """No more messages come. What waits is delivered, each message ``within`` seconds. Returns at once."""
        with self._changed:
            now = time.monotonic()
            self._within, self._deadline, self._last_deadline = within, now + within, now + self.LONGEST_FINISH
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end, and say what was lost."""
        if self._thread is None:
            return
        while self._thread.is_alive() and (left := self._deadline - time.monotonic()) > 0:
            self._thread.join(left)
        if self._thread.is_alive():
            self._output.abort()
            self._thread.expect_end()
            self._thread.join()
        self._thread = None
        counts = self.counts
        if counts.dropped or counts.refused or counts.waiting:
            logger.warning(
                "%s: %d events sent, %d dropped, %d refused, %d not delivered at the end",
                *(self.name, counts.sent, counts.dropped, counts.refused, counts.waiting),
            )

    def _run(self) -> None:
        try:
            while (message := self._next()) is not None:
                if not self._deliver(message):
                    break
        finally:
            with self._changed:
                self._on_its_way = None
            self._output.close()

    def _next(self) -> Message | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._deadline < math.inf)
            self._on_its_way = self._waiting[0] if self._waiting else None
            return self._on_its_way

    def _deliver(self, message: Message) -> bool:
        """``False``: there is no more time."""
        reported = False
        while True:
            try:
                self._output.send(message)
            except OSError as error:
                if not reported and self._backoff.attempt == 0:
                    logger.warning("%s: %s; events wait", self.name, redact(str(error)) or type(error).__name__)
                reported = True
                if not self._pause(self._backoff.next()):
                    return False
                if not self._is_first(message):
                    return True
            except MessageRefusedError as error:
                if (reason := redact(str(error))) != self._said:
                    logger.warning("%s: refused an event: %s", self.name, reason)
                    self._said = reason
                return self._done(message, refused=True)
            else:
                self._backoff.reset()
                return self._done(message)

    def _done(self, message: Message, *, refused: bool = False) -> bool:
        with self._changed:
            self._on_its_way = None
            if self._waiting and self._waiting[0] is message:  # else it was dropped meanwhile
                self._waiting.popleft()
                self._refused += refused
                self._sent += not refused
            elif not refused:
                self._dropped -= 1  # it has arrived after all
                self._sent += 1
            self._deadline = min(time.monotonic() + self._within, self._last_deadline)
        return True

    def _is_first(self, message: Message) -> bool:
        with self._changed:
            return bool(self._waiting) and self._waiting[0] is message

    def _pause(self, seconds: float) -> bool:
        """Wait, but no longer than there is time; ``False``: there is none."""
        with self._changed:
            until = time.monotonic() + seconds
            while (left := min(until, self._deadline) - time.monotonic()) > 0:
                self._changed.wait(left)
            return time.monotonic() < self._deadline
