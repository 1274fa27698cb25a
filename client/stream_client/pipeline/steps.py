"""The next step of the sender, as the exchange decides it."""

from dataclasses import dataclass

from stream_client.errors import StreamClientError
from stream_client.frames import Frame
from stream_client.transport.base import Request


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send this frame."""

    frame: Frame
    dequeued: float


@dataclass(frozen=True, slots=True)
class Resend:
    """Send this request again, in the new session."""

    request: Request


@dataclass(frozen=True, slots=True)
class Finish:
    """Half-close the session: nothing more will be sent."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The session broke: recover, or end the run."""

    error: StreamClientError


@dataclass(frozen=True, slots=True)
class Done:
    """Every frame has ended, or the run was aborted."""


Step = SendFrame | Resend | Finish | Lost | Done
