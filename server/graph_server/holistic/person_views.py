"""Where in an image the detector looks for persons.

The detector takes a small square. In a whole wide image it misses persons, and it prefers the largest.
"""

import math
from functools import lru_cache

from graph_server.holistic.crops import WHOLE
from graph_server.holistic.regions import ImageSize, Region


@lru_cache(maxsize=64)
def views_of(size: ImageSize) -> tuple[Region, ...]:
    """The parts of an image in which the detector looks in turn: all of it, and squares along its longer side."""
    width, height = size
    side, longer = min(size), max(size)
    count = 0 if longer < 1.2 * side else max(2, math.ceil(2 * (longer - side) / side) + 1)
    places = [side / 2 + number * (longer - side) / (count - 1) for number in range(count)]
    middles = [(place, height / 2) if width >= height else (width / 2, place) for place in places]
    return (WHOLE, *(square(x, y, size) for x, y in middles))


def square(x: float, y: float, size: ImageSize) -> Region:
    """The largest square in an image whose middle is as near to a place, in pixels, as possible."""
    half = min(size) / 2
    width, height = size
    x, y = min(max(x, half), width - half), min(max(y, half), height - half)
    return Region(x / width, y / height, 2 * half / width, 2 * half / height)
