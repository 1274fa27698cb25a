"""Hand landmarks: a better crop of the region that the pose gives, tracking, landmarks.

Sources: modules/holistic_landmark/hand_*.pbtxt, modules/hand_landmark/hand_landmark_cpu.pbtxt.
"""

from dataclasses import dataclass

import numpy as np

from graph_server.holistic.crops import Bytes, crop, padded, projected
from graph_server.holistic.frame_skipping import EVERY_FRAME, FrameSkipping, Schedule
from graph_server.holistic.networks import Network
from graph_server.holistic.regions import (
    HAND_TRACKING,
    ImageSize,
    Landmarks,
    Region,
    hand_region_from_landmarks,
    hand_region_from_pose,
    may_keep,
    region_from_alignment_points,
)
from graph_server.holistic.stillness import Stillness
from graph_server.models.copies import PROCESSORS
from graph_server.models.model import Model

_POINTS = 21
_RECROP_SIDE = 256
_HAND_SIDE = 224
_ROUNDED_FROM = 28
"""Most of bfloat16's error comes from the layers before (benchmarks/README.md)."""
_MIN_VISIBILITY = 0.1
_DEPTH_SCALE = 0.4


@dataclass(frozen=True, slots=True)
class Hand:
    """The indices of a hand's landmarks in the pose."""

    wrist: int
    pinky: int
    index: int

    def place(self, pose: Landmarks) -> Landmarks:
        """The position of the hand in the pose [33, 5]: x, y."""
        points: Landmarks = pose[[self.wrist, self.pinky, self.index], :2].mean(axis=0)
        return points


LEFT = Hand(wrist=15, pinky=17, index=19)
RIGHT = Hand(wrist=16, pinky=18, index=20)


class HandTracker:
    """Tracks one hand. Use it from one thread at a time."""

    def __init__(
        self, hand: Hand, recrop_model: Model, landmark_model: Model, skipping: FrameSkipping = EVERY_FRAME
    ) -> None:
        self._hand = hand
        self._schedule = Schedule(skipping)
        self._update, self._clear = skipping.update, skipping.clear
        self._presence = 0.0
        self._carried = 0
        self._place: Landmarks = np.zeros(2, np.float32)
        self._recrop = Network(recrop_model, ("output_crop",))
        outputs = ("Identity", "Identity_1")
        self._landmark = Network(landmark_model, outputs, most_copies=PROCESSORS, rounded_from=_ROUNDED_FROM)
        self._previous: Landmarks | None = None
        self._still = Stillness(skipping.still)

    def process(self, image: Bytes, pose: Landmarks | None) -> Landmarks | None:
        """The hand's landmarks [21, 5], or ``None`` if it is not found. ``pose`` is [33, 5].

        Where ``pose`` is the very same object as before, and nothing moves around the hand, so are its landmarks.
        """
        if self._still.holds(image, pose):
            return self._previous
        if pose is None or pose[self._hand.wrist, 3] <= _MIN_VISIBILITY:
            self._previous = None
            self._schedule.restart()
            self._still.looked(image, None)
            return None
        last_place, self._place = self._place, self._hand.place(pose)
        clear = self._presence >= self._clear
        if self._previous is not None and clear and self._carried + 1 < self._update:
            self._carried += 1
            self._previous = _moved(self._previous, self._place - last_place)
            return self._previous
        self._carried = 0
        size = (image.shape[1], image.shape[0])
        region = self._region(image, pose, size)
        self._previous = None if region is None else self._landmarks(image, region, size)
        if region is not None:
            self._still.looked(image, region)
        return self._previous

    def _region(self, image: Bytes, pose: Landmarks, size: ImageSize) -> Region | None:
        if not self._schedule.due(followed=self._previous is not None):
            return None if self._previous is None else _region_of_last(self._previous, size)
        hand = self._hand
        rough = hand_region_from_pose(pose[hand.wrist], pose[hand.pinky], pose[hand.index], size)
        rough = rough.transformed(size, scale=2.7, shift_y=-0.1)
        if rough.empty:
            return None
        crop(image, padded(rough, size, (_RECROP_SIDE, _RECROP_SIDE))[0], self._recrop.pixels)
        (points,) = self._recrop.run()
        landmarks = np.zeros((2, 5), np.float32)
        landmarks[:, :2] = points.reshape(2, 2) / _RECROP_SIDE
        center, edge = ((float(x), float(y)) for x, y in projected(landmarks, rough)[:, :2])
        current = region_from_alignment_points(center, edge, size, target_degrees=-90)
        current = current.transformed(size, scale=1.0, shift_y=-0.1)
        if self._previous is None:
            return current
        last = _region_of_last(self._previous, size)
        return last if may_keep(last, self._previous, current, size, HAND_TRACKING) else current

    def _landmarks(self, image: Bytes, region: Region, size: ImageSize) -> Landmarks | None:
        if region.empty:
            return None
        crop(image, padded(region, size, (_HAND_SIDE, _HAND_SIDE))[0], self._landmark.pixels)
        tensor, (presence,) = self._landmark.run()
        self._presence = float(presence[0])
        self._schedule.ran(self._presence)
        if not (presence[0] >= 0.5 and np.isfinite(tensor).all()):
            return None
        landmarks = np.zeros((_POINTS, 5), np.float32)
        landmarks[:, :3] = tensor.reshape(_POINTS, 3) / np.float32(_HAND_SIDE)
        landmarks[:, 2] /= np.float32(_DEPTH_SCALE)
        return projected(landmarks, region)


def _moved(landmarks: Landmarks, by: Landmarks) -> Landmarks:
    moved = landmarks.copy()
    moved[:, :2] += by
    return moved


def _region_of_last(landmarks: Landmarks, size: ImageSize) -> Region:
    return hand_region_from_landmarks(landmarks, size).transformed(size, scale=2.0, shift_y=-0.1)
