"""Groups of rows that no fold splits: persons, clips, labeled spans, or blocks of time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_client.util.wording import counted

Integers = npt.NDArray[np.intp]

BETWEEN = -1
"""The group of rows between two blocks of time: they train the final model, and no fold uses them."""
FEWEST_SAMPLES = 20
"""A share of fewer samples says little: one mistake more or less is 5 points."""

_MOST_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row comes from.

    ``group`` is its clip, photo, source video or person. ``span`` is the start of the labeled span in seconds.
    ``start`` and ``end`` are in µs of the clip, or positions in a table. ``path`` is the clip, empty for tables.
    """

    group: str
    span: float
    start: int
    end: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """``numbers`` [rows] are positions in ``names``, or :data:`BETWEEN`. ``split`` names the smallest kind of group."""

    numbers: Integers
    names: tuple[str, ...]
    split: str
    notes: tuple[str, ...]


def grouped(
    targets: Sequence[int], origins: Sequence[Origin], labels: Sequence[str], kind: str, shortest_gap: int
) -> Groups:
    """The groups of rows that have a label and an origin each.

    A label in several groups is split by group, of ``kind``. A label in one group only is split by its labeled spans,
    and a label in one span only by blocks of time. Between blocks there is a gap as long as a row, and at least
    ``shortest_gap``.
    """
    names: dict[str, int] = {}
    numbers = np.full(len(targets), BETWEEN, dtype=np.intp)
    notes: list[str] = []
    kinds = [kind]
    of_label = np.array(targets, dtype=np.intp)
    for target, label in enumerate(labels):
        rows = np.flatnonzero(of_label == target).tolist()
        here = [origins[row] for row in rows]
        groups = sorted({origin.group for origin in here})
        if len(groups) > 1:
            keys: list[str | None] = [origin.group for origin in here]
        elif len({origin.span for origin in here}) > 1:
            keys = [f"{origin.group}, from {origin.span:g} s" for origin in here]
            kinds.append("labeled span")
            notes.append(
                f"{label!r} is in one {kind} only ({groups[0]}): its labeled spans are held out, "
                "with the same person and room, so its accuracy is of that recording"
            )
        else:
            blocks = blocks_of([(origin.start, origin.end) for origin in here], shortest_gap)
            keys = [None if block is None else f"{groups[0]}, block {block + 1}" for block in blocks]
            if len(set(keys) - {None}) > 1:
                kinds.append("block of time")
                notes.append(
                    f"{label!r} is in one {kind} only ({groups[0]}): blocks of its time are held out, "
                    "so its accuracy is of that recording"
                )
            elif here:
                keys = [groups[0]] * len(here)
                notes.append(
                    f"{label!r} is in one {kind} only ({groups[0]}), too short to be divided: it is learned, "
                    "and its accuracy cannot be measured"
                )
        for row, key in zip(rows, keys, strict=True):
            if key is not None:
                numbers[row] = names.setdefault(key, len(names))
        if 0 < len(here) < FEWEST_SAMPLES:
            notes.append(
                f"{label!r} has {counted(len(here), 'sample')}: {FEWEST_SAMPLES} are the fewest that say something"
            )
    # In the order of the names, so that folds do not depend on the order of the rows.
    order = sorted(names)
    places = np.array([order.index(name) for name in names] + [BETWEEN], dtype=np.intp)
    return Groups(
        places[numbers], tuple(order), kinds[-1] if len(kinds) == 1 else " or ".join(dict.fromkeys(kinds)), (*notes,)
    )


def blocks_of(times: Sequence[tuple[int, int]], shortest_gap: int) -> list[int | None]:
    """The block of each (start, end), ``None`` between two blocks. All in block 0 if the time is too short for two."""
    if not times:
        return []
    first, last = min(start for start, _ in times), max(end for _, end in times)
    longest = max(end - start for start, end in times)
    gap = max(longest, shortest_gap)
    for count in range(_MOST_BLOCKS, 1, -1):
        length = (last - first) / count
        # Each block has a gap on both sides, half of it its own.
        if length < 2 * gap:
            continue
        found = [_block(start - first, end - first, length, gap / 2, count) for start, end in times]
        if set(range(count)) <= set(found):
            return found
    return [0] * len(times)


def _block(start: float, end: float, length: float, margin: float, count: int) -> int | None:
    block = min(int((start + end) / 2 / length), count - 1)
    after = block == 0 or start >= block * length + margin
    before = block == count - 1 or end <= (block + 1) * length - margin
    return block if after and before else None
