"""A frame that was sent, until its end is known, and what an answer does."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from stream_client.errors import StreamClientError
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.transport.base import Request

Outcome = Literal["delivered", "dropped", "failed"]


@dataclass(frozen=True, slots=True)
class Settled:
    """A frame whose end is known. ``reason`` and ``error`` belong to frames that were not delivered.

    A ``reused`` one was not sent: it gets the result before it.
    """

    frame: Frame
    request: Request
    outcome: Outcome
    outputs: Mapping[str, Tensor]
    stamps: Stamps
    reason: str = ""
    error: StreamClientError | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Credit:
    """What an answer did: the round trip where it gave the frame's credit back; whether it was late or a duplicate.

    ``overdue``: the seconds since its frame was sent, where that has failed for want of an answer. ``stray``: no frame
    has its timestamp.
    """

    round_trip: float | None = None
    late: bool = False
    overdue: float | None = None
    stray: bool = False
    duplicate: bool = False


@dataclass(slots=True)
class Pending:
    """A frame that was sent and has not left the joiner.

    ``waits`` maps each missing output to the time until which an answered frame waits for it. ``answered``: the frame
    is no longer in flight. ``deadline`` is for a frame that is not answered. ``lost_at``: when its session was first
    lost, of ``attempts``.
    """

    frame: Frame
    request: Request
    stamps: Stamps
    sent: float
    deadline: float
    waits: dict[str, float]
    answered: bool = False
    answered_at: float = math.nan
    attempts: int = 1
    lost_at: float | None = None
    outputs: dict[str, Tensor] = field(default_factory=dict)
    settled: Settled | None = None

    @property
    def until(self) -> float:
        """When it runs out of time."""
        return max(self.waits.values(), default=self.answered_at) if self.answered else self.deadline

    def give_up(self, names: Iterable[str], at: float) -> None:
        """Wait for these outputs until ``at`` and no longer."""
        for name in self.waits.keys() & names:
            self.waits[name] = min(self.waits[name], at)

    def add(self, outputs: Mapping[str, Tensor]) -> bool:
        """Keep outputs that came; of two of one name the first. Returns whether one of them was there already."""
        duplicate = not self.outputs.keys().isdisjoint(outputs)
        for name, tensor in outputs.items():
            self.outputs.setdefault(name, tensor)
            self.waits.pop(name, None)
        return duplicate

    def end(self, outcome: Outcome, reason: str, error: StreamClientError | None) -> None:
        """Its end is known."""
        self.settled = Settled(
            frame=self.frame,
            request=self.request,
            outcome=outcome,
            outputs=self.outputs,
            stamps=self.stamps,
            reason=reason,
            error=error,
        )
