"""How often each label was given, when, and for how long at a stretch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stream_client.frames import Result

NO_LABEL = "none"
"""Frames without a label count under this name."""


@dataclass(frozen=True, slots=True)
class LabelShare:
    """A label of a video. Times are in seconds of the source; ``longest`` is the longest span without another label."""

    label: str
    frames: int
    share: float
    first: float
    last: float
    longest: float


@dataclass(slots=True)
class _Count:
    frames: int = 0
    first: float = 0.0
    last: float = 0.0
    longest: float = 0.0


class LabelStatistics:
    """Counts the labels of results, in frame order."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._frames = 0
        self._label: str | None = None
        self._began = 0.0

    def add(self, result: Result) -> None:
        """Count a frame. A label lasts until the next frame."""
        label = NO_LABEL if result.label is None else result.label.name
        if self._label is not None:
            before = self._counts[self._label]
            before.longest = max(before.longest, result.time - self._began)
        if label != self._label:
            self._label, self._began = label, result.time
        count = self._counts.setdefault(label, _Count(first=result.time))
        count.frames += 1
        count.last = result.time
        self._frames += 1

    @property
    def frames(self) -> int:
        """How many frames were counted."""
        return self._frames

    def shares(self) -> list[LabelShare]:
        """Each label, the most frequent first."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1].frames, item[0]))
        return [
            LabelShare(label, count.frames, count.frames / self._frames, count.first, count.last, count.longest)
            for label, count in ordered
        ]

    def to_json(self) -> Mapping[str, Any]:
        """``frames`` and ``labels``, each as :class:`LabelShare`."""
        return {"frames": self._frames, "labels": [asdict(share) for share in self.shares()]}
