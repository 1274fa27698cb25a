"""Bounds on what is kept: in a minute, in a day, and of what looks the same."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as PillowImage

from stream_client.frames import Image

MINUTE, DAY = 60.0, 86_400.0
_MOST_HASHES = 5000
_SAME_BITS = 4
"""Of 64: frames whose hashes differ by no more look the same."""


@dataclass(slots=True)
class Rate:
    """At most ``limits[seconds]`` in any so many seconds of the stream."""

    limits: Mapping[float, int]
    _times: deque[float] = field(default_factory=deque)

    def allows(self, time: float) -> bool:
        """Whether one more fits at ``time``, in seconds."""
        longest = max(self.limits)
        while self._times and self._times[0] <= time - longest:
            self._times.popleft()
        return all(
            sum(1 for each in self._times if each > time - seconds) < most for seconds, most in self.limits.items()
        )

    def add(self, time: float) -> None:
        """One was kept."""
        self._times.append(time)


@dataclass(slots=True)
class Seen:
    """Remembers what frames look like: the hashes of the newest 5000."""

    _hashes: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_HASHES))

    def is_new(self, image: Image) -> bool:
        """Whether nothing that looks the same was new before."""
        value = difference_hash(image)
        if any((value ^ other).bit_count() <= _SAME_BITS for other in self._hashes):
            return False
        self._hashes.append(value)
        return True


def difference_hash(image: Image) -> int:
    """64 bits: whether each of 8 x 8 places is brighter than its left neighbour (dHash, Neal Krawetz, 2013)."""
    small = PillowImage.fromarray(image).convert("L").resize((9, 8), PillowImage.Resampling.BOX)
    grey = np.asarray(small, np.int16)
    bits = (np.diff(grey, axis=1) > 0).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)
