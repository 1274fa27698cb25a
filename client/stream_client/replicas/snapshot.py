"""A replica at one moment, for metrics."""

from dataclasses import dataclass
from typing import Literal

ReplicaState = Literal["unknown", "ready", "not_ready", "away"]
"""``not_ready``: it answers that it is not ready, since it is loading or draining. ``unknown``: not asked yet."""


@dataclass(frozen=True, slots=True)
class ReplicaSnapshot:
    """A replica as this process uses it, at one moment.

    ``in_flight``: requests without an answer. ``sessions``: streaming sessions that live there. ``answered``,
    ``failed``: requests so far; ``moved``: requests and sessions that went to another replica. ``slow``: its 95th
    percentile is three times the others', its last five requests failed, or it rests, since a session has left it for
    being slow. ``p50`` and ``p95`` are of the recent
    times for a request, in seconds, ``None`` without any.
    """

    address: str
    state: ReplicaState
    in_flight: int = 0
    sessions: int = 0
    answered: int = 0
    failed: int = 0
    moved: int = 0
    slow: bool = False
    p50: float | None = None
    p95: float | None = None
