"""How long a frame waits for its other outputs after its image has come. No I/O; time is an argument."""

from collections import OrderedDict
from collections.abc import Iterable


class JoinTimeout:
    """Learns how late each output comes. Times are in seconds.

    With ``join_timeout`` every output has that time. Without it, an output has as long again as the image took or
    twice the time that it came after recent images, whichever is more: from :attr:`GRACE_SECONDS` to ``longest``.
    """

    GRACE_SECONDS = 0.2
    """Seconds to wait for an output after a later packet of it has arrived. Also the least that is learned."""

    INCOMPLETE = 64
    """Frames settled without one of their outputs that are remembered, to learn how late it comes."""

    SPREAD_DECAY = 0.99
    """The longest time that an output came after its image fades by this factor with each packet of the output."""

    def __init__(self, join_timeout: float | None, longest: float) -> None:
        self._join_timeout = join_timeout
        self._longest = longest
        self._spreads: dict[str, float] = {}
        self._incomplete: OrderedDict[int, float] = OrderedDict()  # timestamps, and when their image came

    @property
    def grace(self) -> float:
        """How long to wait for an output after a later packet of it has arrived."""
        return self._join_timeout or self.GRACE_SECONDS

    def bound(self, name: str, round_trip: float) -> float:
        """How long to wait for output ``name`` after a image that took ``round_trip``."""
        if self._join_timeout is not None:
            return self._join_timeout
        return min(self._longest, max(self.GRACE_SECONDS, round_trip, 2.0 * self._spreads.get(name, 0.0)))

    def came(self, names: Iterable[str], after: float) -> None:
        """These outputs came ``after`` seconds after their frame's image."""
        for name in names:
            self._spreads[name] = max(after, self.SPREAD_DECAY * self._spreads.get(name, 0.0))

    def gave_up(self, timestamp: int, image_at: float) -> None:
        """A frame was settled without some of its outputs; its image had come at ``image_at``."""
        self._incomplete[timestamp] = image_at
        if len(self._incomplete) > self.INCOMPLETE:
            self._incomplete.popitem(last=False)

    def came_late(self, timestamp: int, names: Iterable[str], now: float) -> None:
        """Outputs came for a frame that is settled."""
        if timestamp in self._incomplete:
            self.came(names, now - self._incomplete[timestamp])
