"""The phases of a run, and of its session with the server. No I/O, no threads."""

from enum import Enum, auto

from stream_client.errors import ConnectionLostError, DeadlineError, StreamClientError


class RunPhase(Enum):
    """What becomes of frames. A run goes through the phases in this order and may leave one out."""

    READING = auto()
    """The source's frames are taken, sent and answered."""
    DRAINING = auto()
    """No more frames are taken; those that were are sent and answered."""
    ABORTED = auto()
    """Nothing more is sent, and no answer counts: every frame has ended, or another thread works on it."""
    CLOSED = auto()
    """Every frame has ended. What a thread that was left behind still does is ignored."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent, and no answer counts."""
        return self in (RunPhase.ABORTED, RunPhase.CLOSED)


class SessionPhase(Enum):
    """What may be done in a session; of several reasons for its end, the first counts.

    ::

        OPEN ──finish()──▶ FINISHED ──closed(None)──▶ ENDED
          └─────closed()──────┴─────closed(error)───▶ LOST
    """

    OPEN = auto()
    """Requests may be sent, answers may come."""
    FINISHED = auto()
    """Every request was sent, answers may come."""
    ENDED = auto()
    """Every answer came: the server closed the session after the last one."""
    LOST = auto()
    """The session broke: the sender opens another one, or the run ends."""


class SessionState:
    """The phase of the newest session, and the signs that its server is gone."""

    SILENT_DEADLINES = 3
    """Deadlines in a row, with no answer between them, after which the server counts as gone."""

    def __init__(self) -> None:
        self.phase = SessionPhase.OPEN
        self.number = 0
        self.loss: StreamClientError | None = None
        """Why the session was lost; ``None`` in every phase but LOST."""
        self.ever_answered = False
        """Whether any session of the run had an answer."""
        self.has_answered = False
        """Whether the newest session had an answer."""
        self._deadlines = 0

    def begin(self) -> int:
        """A new session takes the place of the one before; returns its number."""
        self.phase, self.loss = SessionPhase.OPEN, None
        self.has_answered = False
        self.number += 1
        self.forget_deadlines()
        return self.number

    def finish(self) -> None:
        """Nothing more will be sent in this session."""
        self.phase = SessionPhase.FINISHED

    def closed(self, error: StreamClientError | None) -> None:
        """The session is over; ``error`` is ``None`` where the server closed it properly."""
        if self.phase in (SessionPhase.ENDED, SessionPhase.LOST):
            return
        if error is None and self.phase is SessionPhase.FINISHED:
            self.phase = SessionPhase.ENDED
        else:
            self.phase = SessionPhase.LOST
            self.loss = error or ConnectionLostError("the server ended the stream")

    def answered(self) -> None:
        """An answer came."""
        self.ever_answered = self.has_answered = True
        self.forget_deadlines()

    def deadline_missed(self) -> None:
        """A frame had no answer in time."""
        self._deadlines += 1
        if self._deadlines >= self.SILENT_DEADLINES:
            self.closed(DeadlineError("the server has stopped answering"))

    def forget_deadlines(self) -> None:
        """The deadlines so far say nothing about what comes."""
        self._deadlines = 0
