"""How long a frame waits for its other outputs after its picture has come. No I/O; time is an argument."""

from collections import OrderedDict
from collections.abc import Iterable


class JoinTimeout:
    """Learns how late each output comes. Times are in seconds.

    With ``join_timeout`` every output has that time. Without it, an output has as long again as the picture took or
    twice the time that it came after recent pictures, whichever is more: from :attr:`GRACE_SECONDS` to ``longest``.
    """

    GRACE_SECONDS = 0.2
    """Seconds to wait for an output after a later packet of it has arrived. Also the least that is learned."""

    INCOMPLETE = 64
    """Frames settled without one of their outputs that are remembered, to learn how late it comes."""

    SPREAD_DECAY = 0.99
    """The longest time that an output came after its picture fades by this factor with each packet of the output."""

    def __init__(self, join_timeout: float | None, longest: float) -> None:
        self._join_timeout = join_timeout
        self._longest = longest
        self._spreads: dict[str, float] = {}
        self._incomplete: OrderedDict[int, float] = OrderedDict()  # timestamps, and when their picture came

    @property
    def grace(self) -> float:
        """How long to wait for an output after a later packet of it has arrived."""
        return self._join_timeout or self.GRACE_SECONDS

    def bound(self, name: str, round_trip: float) -> float:
        """How long to wait for output ``name`` after a picture that took ``round_trip``."""
        if self._join_timeout is not None:
            return self._join_timeout
        return min(self._longest, max(self.GRACE_SECONDS, round_trip, 2.0 * self._spreads.get(name, 0.0)))

    def came(self, names: Iterable[str], after: float) -> None:
        """These outputs came ``after`` seconds after their frame's picture."""
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
