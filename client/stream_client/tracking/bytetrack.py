"""ByteTrack: weak detections may go on with a track, but begin none.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022. Motion is over the
frames' own timestamps, so that dropped frames do not break it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError
from stream_client.frames import Detections
from stream_client.tracking.candidates import Array, overlaps
from stream_client.tracking.motion import Motion
from stream_client.tracking.similarity import keypoint_similarity
from stream_client.util.extras import install_command

_NONE = -1
_RECENT = 1_000_000
"""µs since a track's last detection. Later, a weak detection is not enough to go on with it."""
_Indices = npt.NDArray[np.intp]


@dataclass(slots=True)
class _Track:
    """``keypoints`` are over the box's sides, from its left top. ``seen`` is the last detection's timestamp, in µs.
    ``number`` is -1 for a track with one detection only.
    """

    motion: Motion
    class_id: int
    keypoints: Array | None
    seen: int
    number: int


class ByteTrack:
    """Follows boxes by their overlap with where they should be: strong detections first, then weak ones.

    From a score of ``strong`` a detection is strong, from ``begin`` it may begin a track. ``least_overlap`` is the
    smallest overlap of a pair. A track gets its number with its second detection, tracks of the first frame at once; it
    ends after ``keep`` seconds without one. A detection of another class never joins a track. Where the model gives key
    points, their similarity counts as much as the overlap: so persons who cross keep their tracks.

    >>> box = np.array([[0, 0, 10, 20]], np.float32)
    >>> seen = Detections(box, np.array([0.9], np.float32), np.array([0]))
    >>> tracker = ByteTrack()
    >>> tracker.update(seen, 0).tolist(), tracker.update(seen, 33_333).tolist()
    ([1], [1])
    """

    def __init__(
        self, *, strong: float = 0.5, begin: float = 0.6, least_overlap: float = 0.2, keep: float = 1.5
    ) -> None:
        if not 0 <= strong <= begin <= 1:
            raise ConfigurationError(f"0 <= strong <= begin <= 1 is needed, not {strong:g} and {begin:g}")
        self._strong = strong
        self._begin = begin
        self._least = least_overlap
        self._keep = keep * 1e6
        self._tracks: list[_Track] = []
        self._last: int | None = None
        self._count = 0
        _assignment()

    def update(self, detections: Detections, timestamp: int) -> npt.NDArray[np.int64]:
        """The track of each detection, int64 [n], -1 for none; ``timestamp`` is in µs."""
        first = self._last is None
        elapsed = 0.0 if self._last is None else max(0, timestamp - self._last) / 1e6
        self._last = timestamp
        for track in self._tracks:
            track.motion.predict(elapsed)
        numbers = np.full(len(detections), _NONE, np.int64)
        strong = np.flatnonzero(detections.scores >= self._strong)
        weak = np.flatnonzero(detections.scores < self._strong)
        idle, new = self._go_on(self._tracks, strong, detections, numbers, timestamp)
        recent = [track for track in idle if track.number != _NONE and timestamp - track.seen <= _RECENT]
        self._go_on(recent, weak, detections, numbers, timestamp)
        self._tracks = [track for track in self._tracks if self._lives(track, timestamp)]
        for index in new:
            if detections.scores[index] >= self._begin:
                self._start(int(index), detections, numbers, timestamp, numbered=first)
        return numbers

    def _go_on(
        self,
        tracks: Sequence[_Track],
        candidates: _Indices,
        detections: Detections,
        numbers: npt.NDArray[np.int64],
        timestamp: int,
    ) -> tuple[list[_Track], list[int]]:
        """Pair tracks with detections; returns what is left of both."""
        pairs = self._pairs(tracks, candidates, detections)
        for row, column in pairs:
            track, index = tracks[row], int(candidates[column])
            track.motion.correct(detections.boxes[index])
            track.keypoints = _over_box(detections, index)
            track.seen = timestamp
            if track.number == _NONE:
                track.number = self._number()
            numbers[index] = track.number
        rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
        idle = [track for row, track in enumerate(tracks) if row not in rows]
        return idle, [int(index) for column, index in enumerate(candidates) if column not in columns]

    def _pairs(self, tracks: Sequence[_Track], candidates: _Indices, detections: Detections) -> list[tuple[int, int]]:
        if not tracks or not len(candidates):
            return []
        boxes = np.stack([track.motion.box for track in tracks])
        alike = overlaps(boxes, detections.boxes[candidates])
        if detections.keypoints is not None:
            points = np.stack([_points(track, detections.keypoints) for track in tracks])
            alike = ((alike + keypoint_similarity(points, detections.keypoints[candidates], boxes)) / 2).astype(
                np.float32
            )
        classes = np.array([track.class_id for track in tracks])
        alike *= classes[:, None] == detections.class_ids[candidates][None, :]
        rows, columns = _assigned(alike)
        return [
            (int(row), int(column))
            for row, column in zip(rows, columns, strict=True)
            if alike[row, column] >= self._least
        ]

    def _start(
        self, index: int, detections: Detections, numbers: npt.NDArray[np.int64], timestamp: int, *, numbered: bool
    ) -> None:
        number = self._number() if numbered else _NONE
        motion = Motion(detections.boxes[index])
        class_id = int(detections.class_ids[index])
        self._tracks.append(_Track(motion, class_id, _over_box(detections, index), timestamp, number))
        numbers[index] = number

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _lives(self, track: _Track, timestamp: int) -> bool:
        if track.number == _NONE:
            return track.seen == timestamp
        return timestamp - track.seen <= self._keep


def _over_box(detections: Detections, index: int) -> Array | None:
    """The key points of a detection over its box's sides."""
    if detections.keypoints is None:
        return None
    points: Array = detections.keypoints[index].copy()
    box = detections.boxes[index]
    points[:, :2] = (points[:, :2] - box[:2]) / np.maximum(box[2:] - box[:2], 1e-3)
    return points


def _points(track: _Track, like: Array) -> Array:
    """Where a track's key points should be by now; points of score 0 where it has none."""
    if track.keypoints is None or track.keypoints.shape != like[0].shape:
        return np.zeros_like(like[0])
    points, box = track.keypoints.copy(), track.motion.box
    points[:, :2] = points[:, :2] * (box[2:] - box[:2]) + box[:2]
    return points


def _assigned(alike: Array) -> tuple[_Indices, _Indices]:
    """Rows and columns of the pairs that are most alike in sum."""
    rows, columns = _assignment()(alike, maximize=True)
    return rows, columns


def _assignment() -> Callable[..., tuple[_Indices, _Indices]]:
    """SciPy's solver; loaded where it is used, since few runs track."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ConfigurationError(f"tracking needs SciPy: {install_command('tracking')}", option="tracker") from error
    solver: Callable[..., tuple[_Indices, _Indices]] = linear_sum_assignment
    return solver
