"""Bounds on what is kept: in a minute, in a day, and of what looks the same."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as PillowImage

from stream_client.frames import Image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
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
    """Remembers what frames look like: the hashes of the newest 5000, as a whole and where something was found.

    A camera that does not move sees the same room for ever: then only what is found in it tells frames apart.
    """

    _hashes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MOST_HASHES))

    def is_new(self, image: Image, boxes: Sequence[Box] = ()) -> bool:
        """Whether nothing that looks the same was new before. ``boxes``: of what was found, in pixels."""
        frame, found = difference_hash(image), difference_hash(_around(image, boxes)) if boxes else 0
        for other_frame, other_found in self._hashes:
            if (frame ^ other_frame).bit_count() <= _SAME_BITS and (found ^ other_found).bit_count() <= _SAME_BITS:
                return False
        self._hashes.append((frame, found))
        return True


def _around(image: Image, boxes: Sequence[Box]) -> Image:
    """The part of the frame that holds all boxes."""
    height, width = image.shape[:2]
    table = np.array(boxes).clip(0, [width, height, width, height])
    left, top = np.floor(table[:, :2].min(axis=0)).astype(int)
    right, bottom = np.ceil(table[:, 2:].max(axis=0)).astype(int)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return part if part.size else image


def difference_hash(image: Image) -> int:
    """64 bits: whether each of 8 x 8 places is brighter than its left neighbor (dHash, Neal Krawetz, 2013)."""
    small = PillowImage.fromarray(image).convert("L").resize((9, 8), PillowImage.Resampling.BOX)
    gray = np.asarray(small, np.int16)
    bits = (np.diff(gray, axis=1) > 0).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)
