"""Words of messages: counts with the right plural, and lists."""

from collections.abc import Sequence

_MOST_TOLD = 10


def counted(count: int, one: str, many: str = "") -> str:
    """``1 clip``, ``2 clips``; ``many`` is the plural where it is not ``one`` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first ``most`` names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def told(wrong: Sequence[str]) -> str:
    """What is wrong with the first ten of many things, and how many more there are."""
    more = len(wrong) - _MOST_TOLD
    return "; ".join(wrong[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")
