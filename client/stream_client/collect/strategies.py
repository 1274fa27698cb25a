"""Which frames are worth keeping. Pure: a strategy sees results in order and answers for each."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from stream_client.classify.joints import JOINT
from stream_client.frames import Label, Landmarks, Result
from stream_client.processing.results import LandmarkClassifier

_FIRST = 30
"""Frames with a label before a label can be rare."""
_MOST_POSES = 500
_TORSO = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("shoulder", "hip")]


class Strategy(Protocol):
    """Says whether a result is worth keeping. It sees every result, kept or not."""

    name: str

    def wants(self, result: Result) -> bool:
        """Whether this one is."""


@dataclass(slots=True)
class Uncertain:
    """The score of the label, or of some detection, is from ``low`` to ``high``: near where it is decided."""

    low: float = 0.4
    high: float = 0.6
    name: str = "uncertain"

    def wants(self, result: Result) -> bool:
        """By the frame's label, the persons' labels, and detections."""
        scores = [label.score for label in _labels(result)]
        if result.detections is not None:
            scores += result.detections.scores.tolist()
        return any(self.low <= score <= self.high for score in scores)


@dataclass(slots=True)
class Rare:
    """A label or class that made up less than ``share`` of all so far."""

    share: float = 0.05
    name: str = "rare"
    _counts: Counter[str] = field(default_factory=Counter)

    def wants(self, result: Result) -> bool:
        """Nothing is rare among the first few."""
        names = [label.name for label in _labels(result)]
        if result.detections is not None:
            names += [result.detections.name(index) for index in range(len(result.detections))]
        total = sum(self._counts.values())
        rare = total >= _FIRST and any(self._counts[name] < self.share * total for name in names)
        self._counts.update(names)
        return rare


@dataclass(slots=True)
class Disagreement:
    """Another classifier gives another label, and both are sure enough to give one."""

    other: LandmarkClassifier
    name: str = "disagree"

    def wants(self, result: Result) -> bool:
        """``unknown`` disagrees with nothing."""
        second = self.other.classify(result.landmarks, result.frame.timestamp)
        first = result.label
        return first is not None and "unknown" not in (first.name, second.name) and first.name != second.name


@dataclass(slots=True)
class Random:
    """A ``share`` of all frames."""

    share: float = 0.01
    source: random.Random = field(default_factory=random.Random)
    name: str = "random"

    def wants(self, result: Result) -> bool:
        """Each frame by itself."""
        return self.source.random() < self.share


@dataclass(slots=True)
class Motion:
    """The frame differs from the one before by more than ``amount``: the mean change of brightness, 0…1."""

    amount: float = 0.05
    name: str = "motion"
    _before: npt.NDArray[np.floating] | None = None

    def wants(self, result: Result) -> bool:
        """On a thumbnail of the frame."""
        small = PillowImage.fromarray(result.frame.image).resize((64, 36), PillowImage.Resampling.BOX).convert("L")
        now = np.asarray(small, np.float32) / np.float32(255)
        before, self._before = self._before, now
        return before is not None and float(np.abs(now - before).mean()) > self.amount


@dataclass(slots=True)
class NewPose:
    """A pose that is ``distance`` torso lengths or more, per joint, away from every pose before that was new."""

    distance: float = 0.35
    name: str = "pose"
    _known: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def wants(self, result: Result) -> bool:
        """By the landmarks of each person."""
        people = [person.landmarks for person in result.persons]
        if not people and result.landmarks is not None:
            people = [result.landmarks]
        return any([self._is_new(landmarks) for landmarks in people])

    def _is_new(self, landmarks: Landmarks) -> bool:
        pose = _normal(landmarks)
        if pose is None or len(self._known) >= _MOST_POSES:
            return False
        if self._known:
            nearest = np.abs(np.stack(self._known) - pose).mean(axis=(1, 2)).min()
            if nearest < self.distance:
                return False
        self._known.append(pose)
        return True


def _normal(landmarks: Landmarks) -> npt.NDArray[np.float32] | None:
    """Body joints in torso lengths about the middle of the torso, float32 [22, 2]; ``None`` where it is not seen."""
    if landmarks.pose[_TORSO, 3].min() < 0.5:
        return None
    points = landmarks.pose[11:, :2] * np.array(landmarks.size, np.float32)
    torso = landmarks.pose[_TORSO, :2] * np.array(landmarks.size, np.float32)
    length = float(np.linalg.norm(torso[[0, 2]].mean(axis=0) - torso[[1, 3]].mean(axis=0)))
    if length < 1:
        return None
    return np.asarray((points - torso.mean(axis=0)) / length, np.float32)


def _labels(result: Result) -> Sequence[Label]:
    own = [person.label for person in result.persons if person.label is not None]
    return own if own or result.label is None else [result.label]
