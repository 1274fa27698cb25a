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
from stream_client.tracking.motion import Motions
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
        self._motions = Motions()
        """Of the tracks, in their order."""
        self._last: int | None = None
        self._count = 0
        _assignment()

    def update(self, detections: Detections, timestamp: int) -> npt.NDArray[np.int64]:
        """The track of each detection, int64 [n], -1 for none; ``timestamp`` is in µs."""
        first = self._last is None
        elapsed = 0.0 if self._last is None else max(0, timestamp - self._last) / 1e6
        self._last = timestamp
        self._motions.predict(elapsed)
        numbers = np.full(len(detections), _NONE, np.int64)
        strong = np.flatnonzero(detections.scores >= self._strong)
        weak = np.flatnonzero(detections.scores < self._strong)
        points = _over_boxes(detections)
        every = list(range(len(self._tracks)))
        idle, new = self._go_on(every, strong, detections, points, numbers, timestamp)
        recent = [row for row in idle if self._is_recent(self._tracks[row], timestamp)]
        self._go_on(recent, weak, detections, points, numbers, timestamp)
        self._end(timestamp)
        begun = [index for index in new if detections.scores[index] >= self._begin]
        self._begin_tracks(begun, detections, points, numbers, timestamp, numbered=first)
        return numbers

    def _go_on(
        self,
        rows: Sequence[int],
        candidates: _Indices,
        detections: Detections,
        points: Array | None,
        numbers: npt.NDArray[np.int64],
        timestamp: int,
    ) -> tuple[list[int], list[int]]:
        """Pair tracks with detections; returns what is left of both."""
        pairs = self._pairs(rows, candidates, detections)
        if pairs:
            indices = [index for _, index in pairs]
            self._motions.correct([row for row, _ in pairs], detections.boxes[indices])
        for row, index in pairs:
            track = self._tracks[row]
            track.keypoints = None if points is None else points[index]
            track.seen = timestamp
            if track.number == _NONE:
                track.number = self._number()
            numbers[index] = track.number
        gone, taken = {row for row, _ in pairs}, {index for _, index in pairs}
        return [row for row in rows if row not in gone], [each for each in candidates.tolist() if each not in taken]

    def _pairs(self, rows: Sequence[int], candidates: _Indices, detections: Detections) -> list[tuple[int, int]]:
        """Tracks and detections that go together."""
        if not rows or not len(candidates):
            return []
        tracks = [self._tracks[row] for row in rows]
        boxes = self._motions.boxes[rows]
        alike = overlaps(boxes, detections.boxes[candidates])
        if detections.keypoints is not None:
            points = _points(tracks, boxes, detections.keypoints)
            alike = ((alike + keypoint_similarity(points, detections.keypoints[candidates], boxes)) / 2).astype(
                np.float32
            )
        classes = np.array([track.class_id for track in tracks])
        alike *= classes[:, None] == detections.class_ids[candidates][None, :]
        return [
            (rows[row], int(candidates[column]))
            for row, column in zip(*_assigned(alike), strict=True)
            if alike[row, column] >= self._least
        ]

    def _end(self, timestamp: int) -> None:
        """Forget the tracks that have ended."""
        rows = [row for row, track in enumerate(self._tracks) if self._lives(track, timestamp)]
        if len(rows) < len(self._tracks):
            self._tracks = [self._tracks[row] for row in rows]
            self._motions.keep(rows)

    def _begin_tracks(
        self,
        indices: Sequence[int],
        detections: Detections,
        points: Array | None,
        numbers: npt.NDArray[np.int64],
        timestamp: int,
        *,
        numbered: bool,
    ) -> None:
        if not indices:
            return
        self._motions.add(detections.boxes[indices])
        for index in indices:
            number = self._number() if numbered else _NONE
            keypoints = None if points is None else points[index]
            self._tracks.append(_Track(int(detections.class_ids[index]), keypoints, timestamp, number))
            numbers[index] = number

    def _number(self) -> int:
        self._count += 1
        return self._count

    @staticmethod
    def _is_recent(track: _Track, timestamp: int) -> bool:
        return track.number != _NONE and timestamp - track.seen <= _RECENT

    def _lives(self, track: _Track, timestamp: int) -> bool:
        if track.number == _NONE:
            return track.seen == timestamp
        return timestamp - track.seen <= self._keep


def _over_boxes(detections: Detections) -> Array | None:
    """The key points of detections over their boxes' sides, [n, k, 3]."""
    if detections.keypoints is None:
        return None
    points, boxes = detections.keypoints.copy(), detections.boxes
    points[..., :2] = (points[..., :2] - boxes[:, None, :2]) / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)[:, None]
    return points


def _points(tracks: Sequence[_Track], boxes: Array, like: Array) -> Array:
    """Where the key points of tracks should be by now, [n, k, 3]; points of score 0 where there are none."""
    nothing = np.zeros_like(like[0])
    known = [track.keypoints for track in tracks]
    points = np.stack([nothing if each is None or each.shape != nothing.shape else each for each in known])
    points[..., :2] = points[..., :2] * (boxes[:, None, 2:] - boxes[:, None, :2]) + boxes[:, None, :2]
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
