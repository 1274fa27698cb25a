"""Whom to look at in a frame, where there is not the time for everyone who is followed."""

from collections.abc import Sequence
from dataclasses import dataclass

_REST = 0.5
"""Sizes of a person a second. Somebody who stands still changes as if at this speed, so their turn comes, too."""
_MEMORY = 0.1
"""The weight of the newest frame in the time that a look takes."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person who is followed: frames since the last one in which they were looked at, and their speed in their own
    sizes a second."""

    frames: int
    speed: float


class LookBudget:
    """Chooses persons so that looking at them takes about ``seconds`` a frame; 0: everyone.

    Whoever has waited longest for their speed comes first. However short the time, one is looked at in each frame, and
    everyone in each ``every``-th.
    """

    def __init__(self, seconds: float, every: int) -> None:
        self._seconds = seconds
        self._every = every
        self._look: float | None = None  # seconds

    def choose(self, persons: Sequence[Waiting]) -> frozenset[int]:
        """The positions in ``persons`` of those to look at now."""
        if not self._seconds or self._look is None:
            return frozenset(range(len(persons)))
        affordable = max(1, int(self._seconds / max(self._look, 1e-9)))
        turns = sorted(range(len(persons)), key=lambda index: _urgency(persons[index]), reverse=True)
        overdue = (index for index in turns if persons[index].frames >= self._every)
        return frozenset([*turns[:affordable], *overdue])

    def spent(self, looks: int, seconds: float) -> None:
        """``looks`` took so long together."""
        if looks:
            look = seconds / looks
            self._look = look if self._look is None else self._look + _MEMORY * (look - self._look)


def _urgency(person: Waiting) -> float:
    return person.frames * (_REST + person.speed)
