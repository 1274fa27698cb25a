"""Whether something has held for long enough. Pure: time is an argument, in microseconds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Hold:
    """Holds once its condition was true for ``held``. An interruption that is shorter than ``gap`` does not count.

    ``since`` is when the condition became true, ``None`` where it is not. ``until`` is when it became false, as long as
    that may still be an interruption.
    """

    held: int
    gap: int
    since: int | None = None
    until: int | None = None
    holds: bool = False

    def update(self, active: bool, time: int) -> Literal["began", "ended"] | None:
        """The condition at ``time``. ``"ended"``: :attr:`until` says when."""
        if active:
            if self.since is None:
                self.since = time
            self.until = None
            if not self.holds and time - self.since >= self.held:
                self.holds = True
                return "began"
            return None
        if self.since is None:
            return None
        if self.until is None:
            self.until = time
        if time - self.until < self.gap:
            return None
        self.since = None
        held, self.holds = self.holds, False
        return "ended" if held else None
