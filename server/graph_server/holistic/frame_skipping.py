"""How often the networks of hands and face run: in every frame, as in MediaPipe, or less often."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameSkipping:
    """Numbers of frames. 1 means every frame.

    The detection of a lost part runs every ``search`` frames. The landmark network of a followed hand runs every
    ``update`` frames; in between, the hand's landmarks move with the pose. A hand whose presence, 0…1, is below
    ``clear`` may be about to leave, so the network runs in the next frame. A followed part is detected again at every
    ``confirm``-th run of its landmark network.
    """

    confirm: int = 1
    search: int = 1
    update: int = 1
    clear: float = 0.95

    @property
    def absence_runs(self) -> int:
        """How many runs must all have found a part absent before frames are skipped."""
        return ABSENCE_RUNS if self.update == 1 else ABSENCE_RUNS_OF_FAST

    @property
    def still(self) -> int:
        """For how many frames landmarks hold where nothing moves; with 0 every frame is looked at."""
        return 0 if self.update == 1 else STILL_FRAMES_OF_FAST


EVERY_FRAME = FrameSkipping()
"""Like MediaPipe, except for :data:`TRUSTED_FACE` and :data:`CLEARLY_ABSENT`."""

TRUSTED_FACE = 2
"""Frames that skip the face detection after a detection that kept the face's region. Only the landmark network decides
that a face is lost: on the shared clips, presence and landmarks are exactly the same without this rule."""

CLEARLY_ABSENT = ((0.02, 2), (0.1, 1))
"""Pairs of a presence and a number of frames. When the last :data:`ABSENCE_RUNS` runs for a part all gave a lower
presence, this number of frames is skipped. A part that appears in between is found one or two frames late: in up to
0.4 % of frames. Where the part is mostly absent this saves a quarter to half of the runs (benchmarks/README.md)."""

ABSENCE_RUNS = 8
ABSENCE_RUNS_OF_FAST = 2
"""The same where hands skip frames anyway."""

STILL_FRAMES_OF_FAST = 9
"""Frames that get the landmarks of the last look where nothing has moved since, and hands skip frames anyway. Not where
they do not: MediaPipe's landmarks move even in equal frames, since its regions follow them."""

FAST = FrameSkipping(update=2)
"""Less exact for hands, and where hands and face come and go (benchmarks/README.md)."""


class Absence:
    """Decides how many frames to skip for a part that is clearly absent."""

    def __init__(self, runs: int) -> None:
        self._presences: deque[float] = deque(maxlen=runs)

    def forget(self) -> None:
        """Start again: the pose says that the part cannot be seen, so no network ran for it."""
        self._presences.clear()

    def skip_after(self, presence: float) -> int:
        """The number of frames to skip after a run that gave ``presence``, 0…1."""
        self._presences.append(presence)
        if len(self._presences) < (self._presences.maxlen or 0):
            return 0
        highest = max(self._presences)
        return next((frames for limit, frames in CLEARLY_ABSENT if highest < limit), 0)


class Schedule:
    """Decides for one part in which frames its detection runs. It runs in the first frame."""

    def __init__(self, skipping: FrameSkipping) -> None:
        self._skipping = skipping
        self._absence = Absence(skipping.absence_runs)
        self._followed = False
        self._left = 0

    def due(self, *, followed: bool) -> bool:
        """Whether the detection runs in this frame. ``followed``: the part was seen in the last frame.

        The detection runs at once after the part was lost. A new part is confirmed later.
        """
        if followed != self._followed:
            self._followed = followed
            self._left = self._skipping.confirm - 1 if followed else 0
        if self._left > 0:
            self._left -= 1
            return False
        self._left = (self._skipping.confirm if followed else self._skipping.search) - 1
        return True

    def restart(self) -> None:
        """The pose says that the part cannot be seen. Detect in the first frame where it can be seen again."""
        self._left = 0
        self._absence.forget()

    def ran(self, presence: float) -> None:
        """The networks gave this ``presence``, 0…1. Skip frames if the part is clearly absent."""
        self.skip(self._absence.skip_after(presence))

    def skip(self, frames: int) -> None:
        """Skip the detection for this number of frames, unless the part is lost."""
        self._left = max(self._left, frames)
