"""A session that is used for one request at a time: ask, wait, go on."""

import threading
from collections.abc import Sized
from typing import Any

from stream_client.errors import DeadlineError, StreamClientError
from stream_client.frames import Tensor
from stream_client.transport.base import Answer, Closed, Event, Failure, Request
from stream_client.transport.session import Session


class OneByOne:
    """Sends a request and waits for its outputs. For one thread; :meth:`close` ends the session."""

    def __init__(self, session: Session, *, timeout: float, further: float = 0.2) -> None:
        """``timeout`` is the time for the first output, ``further`` for all others after it, both in seconds."""
        self._session = session
        self._timeout = timeout
        self._further = further
        self._answers = self._no_answers()

    def open(self) -> None:
        """Start the session, for the first time or after :meth:`close`; raises :class:`.TransportError`."""
        self._answers = self._no_answers()
        self._session.transport.open(self._answers, request_timeout=self._timeout)

    def encode(self, request: Request) -> Sized:
        """Serialise ``request``, apart from :meth:`ask`, so that only the round trip is timed."""
        self._answers.expect(request.timestamp)
        return self._session.transport.encode(request)

    def ask(self, request: Request, data: Any) -> tuple[float, dict[str, Tensor]]:
        """The time of the first output, in seconds of :func:`time.monotonic`, and the outputs.

        Raises :class:`.StreamClientError` where the request fails.
        """
        self._session.transport.send(request.timestamp, data)
        return self._answers.wait(self._timeout, self._further)

    def close(self) -> None:
        """End the session. Safe twice."""
        self._session.transport.close()

    def _no_answers(self) -> "_Answers":
        return _Answers(frozenset(spec.name for spec in self._session.servable.outputs))


class _Answers:
    """Events of a session, for a thread that waits for one frame at a time."""

    def __init__(self, expected: frozenset[str]) -> None:
        self._expected = expected
        self._changed = threading.Condition()
        self._timestamp: int | None = None
        self._outputs: dict[str, Tensor] = {}
        self._answered: float | None = None
        self._complete = False
        self._error: StreamClientError | None = None

    def expect(self, timestamp: int) -> None:
        with self._changed:
            self._timestamp, self._outputs, self._answered, self._complete = timestamp, {}, None, False

    def __call__(self, event: Event) -> None:
        with self._changed:
            match event:
                case Answer() if event.timestamp == self._timestamp:
                    self._outputs.update(event.outputs)
                    self._answered = self._answered or event.received
                    self._complete = event.complete or self._expected <= self._outputs.keys()
                case Failure():
                    self._error = event.error
                case Closed():
                    self._error = self._error or event.error or DeadlineError("the server ended the call")
            self._changed.notify_all()

    def wait(self, timeout: float, further: float) -> tuple[float, dict[str, Tensor]]:
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._answered is not None, timeout)
            if self._answered is not None:
                self._changed.wait_for(lambda: self._complete or self._error is not None, further)
                return self._answered, dict(self._outputs)
            raise self._error or DeadlineError(f"no answer within {timeout:g} s")
