"""A classifier for each track."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from stream_client.frames import Label, Landmarks
from stream_client.processing.results import LandmarkClassifier


@runtime_checkable
class CanWait(Protocol):
    """A classifier that can wait for a person who is hidden."""

    def hide(self, timestamp: int) -> None:
        """The person is hidden in this frame, but may come back; ``timestamp`` is in µs."""


@dataclass(slots=True)
class _Track:
    classifier: LandmarkClassifier
    seen: int


class TrackClassifiers:
    """Labels every person by itself: windows, decision and counted repetitions are of one track.

    ``make`` makes the classifier of a track; they may share a model. A person who is hidden keeps it for ``forget``
    seconds, and its window goes on after at most ``hidden`` seconds: one, and what it takes to be found again. At most
    ``most`` tracks are followed: a new one replaces the one that was not seen for longest.
    """

    def __init__(
        self, make: Callable[[], LandmarkClassifier], *, forget: float = 5.0, hidden: float = 1.25, most: int = 100
    ) -> None:
        self._make = make
        self._hidden = round(hidden * 1e6)
        self._forget = round(forget * 1e6)
        self._most = most
        self._tracks: dict[int, _Track] = {}

    def classify(self, persons: Mapping[int, Landmarks], timestamp: int) -> Mapping[int, Label]:
        """The label of each person in a frame, by track; ``timestamp`` is in µs, increasing."""
        labels = {}
        for number, landmarks in persons.items():
            track = self._tracks.pop(number, None) or _Track(self._make(), timestamp)
            track.seen = timestamp
            self._tracks[number] = track  # the one that was seen last stands last
            labels[number] = track.classifier.classify(landmarks, timestamp)
        for number in list(self._tracks):
            late = timestamp - self._tracks[number].seen > self._forget
            if not late and len(self._tracks) <= self._most:
                break
            del self._tracks[number]
        for number, track in self._tracks.items():
            if number not in persons:
                self._miss(track, timestamp)
        return labels

    def __len__(self) -> int:
        """How many tracks are remembered."""
        return len(self._tracks)

    def _miss(self, track: _Track, timestamp: int) -> None:
        """A frame in which somebody who is remembered is not seen."""
        if not isinstance(track.classifier, CanWait):
            return
        if timestamp - track.seen <= self._hidden:
            track.classifier.hide(timestamp)
        else:
            track.classifier.classify(None, timestamp)
