"""Names of streams and outputs: where a name must be plain, and where it must be the only one."""

import re
from collections import Counter
from collections.abc import Sequence

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def stream_name(name: str) -> str:
    """A name for topics, files and folders, of the name of a source or stream."""
    return _NOT_IN_NAMES.sub("-", name).strip("-.")[-64:] or "stream"


def numbered(names: Sequence[str]) -> list[str]:
    """The names, the second of the same with ``(2)``: without their secrets, several addresses may look alike."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
