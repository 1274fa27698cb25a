"""How often the networks of hands and face run: in every frame, as in MediaPipe, or more rarely."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """In frames: what is not seen is sought every ``search``; a hand that is seen is looked at every ``look``.

    In between a hand is carried along with the pose. What is followed is sought anew at every ``confirm``-th look.
    """

    confirm: int = 1
    search: int = 1
    look: int = 1


EVERY_FRAME = Pace()
"""As MediaPipe, but for :data:`TRUSTED_FACE` and :data:`CLEARLY_ABSENT`."""

TRUSTED_FACE = 2
"""Frames that a face is followed without its detection once that has left its region as it was. Losing a face is its
landmark network's decision: on the shared clips its presence and landmarks stay exactly what they are without this."""

CLEARLY_ABSENT = ((0.02, 2), (0.1, 1))
"""A part that :data:`ABSENCE_LOOKS` looks in a row gave less than that presence, and the frames without a look after
that. What shows up meanwhile is seen a frame or two late: in up to 0.4 % of frames, for a quarter to half of the looks
where the part is mostly away (benchmarks/README.md)."""

ABSENCE_LOOKS = 8

FAST = Pace(confirm=3, search=3, look=2)
"""Less exact in hands, and where hands and face come and go (benchmarks/README.md)."""


class Absence:
    """Says how long not to look for a part that is clearly not there."""

    def __init__(self) -> None:
        self._presences: deque[float] = deque(maxlen=ABSENCE_LOOKS)

    def forget(self) -> None:
        """It was not looked for, since the pose says that it cannot be seen."""
        self._presences.clear()

    def rest_after(self, presence: float) -> int:
        """The frames without a look after one that gave ``presence``, 0…1."""
        self._presences.append(presence)
        if len(self._presences) < ABSENCE_LOOKS:
            return 0
        highest = max(self._presences)
        return next((rest for limit, rest in CLEARLY_ABSENT if highest < limit), 0)


class Schedule:
    """Says for one part whether a frame is for seeking. Begins with one that is."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._absence = Absence()
        self._followed = False
        self._left = 0

    def due(self, *, followed: bool) -> bool:
        """Whether to seek in this frame; ``followed`` is whether the part was seen in the last one.

        Seeks at once after the part was lost; a part that has just been found is confirmed later.
        """
        if followed != self._followed:
            self._followed = followed
            self._left = self._pace.confirm - 1 if followed else 0
        if self._left > 0:
            self._left -= 1
            return False
        self._left = (self._pace.confirm if followed else self._pace.search) - 1
        return True

    def restart(self) -> None:
        """The pose says that the part cannot be seen: seek in the first frame in which it can."""
        self._left = 0
        self._absence.forget()

    def looked(self, presence: float) -> None:
        """A look gave that ``presence``, 0…1: after many that were clearly in vain, rest."""
        self.rest(self._absence.rest_after(presence))

    def rest(self, frames: int) -> None:
        """Do not seek for that many frames, unless the part is lost."""
        self._left = max(self._left, frames)
