"""What a run with a latency budget asks of its server."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetSnapshot:
    """What is asked now. ``seconds`` is the budget, ``usual`` what 9 in 10 of the recent results take at most.

    ``usual`` is ``nan`` before the first result. Frames of ``size`` (width and height in pixels) are sent with sides
    divided by ``divisor``, one in ``parts`` of them. ``changes`` counts how often that changed.
    ``reuses``: the others get the result before them.
    """

    seconds: float
    usual: float
    size: tuple[int, int]
    divisor: int = 1
    parts: int = 1
    changes: int = 0
    reuses: bool = False

    def asked(self) -> str:
        """``640x360 of 1280x720, every frame``, or of how many, and what becomes of the others."""
        width, height = (max(1, side // self.divisor) for side in self.size)
        size = f"{width}x{height}" + (f" of {self.size[0]}x{self.size[1]}" if self.divisor > 1 else "")
        if self.parts == 1:
            return f"{size}, every frame"
        others = "the others show the last result" if self.reuses else "the others are left out"
        return f"{size}, one frame in {self.parts} ({others})"

    def line(self) -> str:
        """One line with the time that results take."""
        text = f"latency budget of {1000 * self.seconds:g} ms: sends {self.asked()}"
        if math.isnan(self.usual):
            return text
        kept = "" if self.usual <= self.seconds else "; it is not kept"
        return f"{text}; 9 in 10 results take {1000 * self.usual:.0f} ms at most{kept}"
