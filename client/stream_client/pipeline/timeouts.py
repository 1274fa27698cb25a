"""How long a frame waits for its other outputs once its picture is there. No I/O; time is an argument.

The bound follows the server: how long the frame's picture took, and how long after pictures an output lately came.
"""

from collections import OrderedDict
from collections.abc import Iterable


class JoinTimeout:
    """Learns how late each output comes. Times are in seconds.

    ``join_timeout`` is the bound where it is given. Without it an output is waited for as long again as the picture
    took, twice as long as it lately came after pictures, and :attr:`GRACE_SECONDS` at least, ``longest`` at most.
    """

    GRACE_SECONDS = 0.2
    """So long an output is waited for once a later packet of it has come, and the shortest bound that is found out."""

    INCOMPLETE = 64
    """So many frames that were settled without an output are remembered, to learn how late it comes."""

    SPREAD_DECAY = 0.99
    """What a packet leaves of the longest time that its output came after the picture."""

    def __init__(self, join_timeout: float | None, longest: float) -> None:
        self._join_timeout = join_timeout
        self._longest = longest
        self._spreads: dict[str, float] = {}
        self._incomplete: OrderedDict[int, float] = OrderedDict()  # timestamps, and when their picture came

    @property
    def grace(self) -> float:
        """How long an output that has been passed by a later packet is still waited for."""
        return self._join_timeout or self.GRACE_SECONDS

    def bound(self, name: str, round_trip: float) -> float:
        """How long output ``name`` of a frame is waited for whose picture took ``round_trip``."""
        if self._join_timeout is not None:
            return self._join_timeout
        return min(self._longest, max(self.GRACE_SECONDS, round_trip, 2.0 * self._spreads.get(name, 0.0)))

    def came(self, names: Iterable[str], after: float) -> None:
        """These outputs came so long after their frame's picture."""
        for name in names:
            self._spreads[name] = max(after, self.SPREAD_DECAY * self._spreads.get(name, 0.0))

    def gave_up(self, timestamp: int, pictured: float) -> None:
        """A frame whose picture came at ``pictured`` was settled without some of its outputs."""
        self._incomplete[timestamp] = pictured
        if len(self._incomplete) > self.INCOMPLETE:
            self._incomplete.popitem(last=False)

    def came_late(self, timestamp: int, names: Iterable[str], now: float) -> None:
        """Outputs came for a frame that is settled."""
        if timestamp in self._incomplete:
            self.came(names, now - self._incomplete[timestamp])
