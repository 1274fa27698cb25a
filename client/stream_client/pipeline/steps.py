"""What the exchange tells the sender to do next."""

from dataclasses import dataclass

from stream_client.errors import StreamClientError
from stream_client.frames import Frame
from stream_client.transport.base import Request


@dataclass(frozen=True, slots=True)
class SendFrame:
    """The sender shall send this frame."""

    frame: Frame
    dequeued: float


@dataclass(frozen=True, slots=True)
class Resend:
    """The sender shall send this request again, in the new session."""

    request: Request


@dataclass(frozen=True, slots=True)
class Finish:
    """The sender shall half-close: nothing more will be sent."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The session broke; the sender shall recover or end the run."""

    error: StreamClientError


@dataclass(frozen=True, slots=True)
class Done:
    """Every frame has ended, or the run was aborted."""


Step = SendFrame | Resend | Finish | Lost | Done
