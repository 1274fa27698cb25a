"""How often each label was given, when, and for how long at a stretch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stream_client.frames import Label, Result

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
    """Counts the labels of frames, in their order."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._frames = 0
        self._label: str | None = None
        self._began = 0.0

    def add(self, given: Label | None, time: float) -> None:
        """Count a frame at ``time`` in seconds. A label lasts until the next frame."""
        label, before = NO_LABEL if given is None else given.name, self._label
        self.interrupt(time)
        if label != before:
            self._began = time
        self._label = label
        count = self._counts.setdefault(label, _Count(first=time))
        count.frames += 1
        count.last = time
        self._frames += 1

    def interrupt(self, time: float) -> None:
        """The present label has lasted until ``time``; the next frame begins another span."""
        if self._label is not None:
            count = self._counts[self._label]
            count.longest = max(count.longest, time - self._began)
        self._label = None

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


class VideoStatistics:
    """Counts the labels of a video's results, in frame order, and those of each person by their number.

    ``whole`` has the results' own labels. ``persons`` is empty where a graph does not tell persons apart. Frames in
    which a person is not seen are not theirs, and end a span.
    """

    def __init__(self) -> None:
        self.whole = LabelStatistics()
        self.persons: dict[int, LabelStatistics] = {}

    def add(self, result: Result) -> None:
        """Count a frame."""
        self.whole.add(result.label, result.time)
        seen = {person.number for person in result.persons}
        for number, statistics in self.persons.items():
            if number not in seen:
                statistics.interrupt(result.time)
        for person in result.persons:
            self.persons.setdefault(person.number, LabelStatistics()).add(person.label, result.time)

    def to_json(self) -> Mapping[str, Any]:
        """``frames`` and ``labels`` as :class:`LabelStatistics`, and these with ``person`` for each of ``persons``."""
        persons = [{"person": number, **each.to_json()} for number, each in sorted(self.persons.items())]
        return {**self.whole.to_json(), **({"persons": persons} if persons else {})}
