"""Which recorded files have to go."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream_client.recording.index import Segment


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of a stream is kept: for so many seconds, and so many bytes. ``None``: no limit."""

    seconds: float | None = None
    bytes: int | None = None

    def surplus(self, complete: Sequence[Segment], now: float) -> list[Segment]:
        """Those of the ``complete`` segments, oldest first, that are too many; ``now`` in seconds since 1970.

        The segment that is written next counts as large as the newest one, which is kept however large it is.
        """
        old = [] if self.seconds is None else [each for each in complete if (each.end or 0.0) < now - self.seconds]
        kept = [each for each in complete if each not in old]
        if self.bytes is None or not kept:
            return old
        excess = sum(each.bytes for each in kept) + kept[-1].bytes - self.bytes
        for each in kept[:-1]:
            if excess <= 0:
                break
            old.append(each)
            excess -= each.bytes
        return old
