"""Which worker has which stream. No I/O."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping


def spread(places: Mapping[str, int], names: Iterable[str], workers: int) -> dict[str, int]:
    """The worker of each of ``names``: the one that it has in ``places``, else one with the fewest."""
    wanted = list(dict.fromkeys(names))
    kept = {name: places[name] for name in wanted if name in places}
    load = Counter(kept.values())
    least = [(load[number], number) for number in range(workers)]
    heapq.heapify(least)
    for name in wanted:
        if name not in kept:
            count, number = least[0]
            heapq.heapreplace(least, (count + 1, number))
            kept[name] = number
    return kept
