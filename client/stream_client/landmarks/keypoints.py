"""COCO's 17 key points as MediaPipe's 33 landmarks, as far as they go."""

import numpy as np

from stream_client.frames import POSE_POINTS, Detections, Landmarks, Person, Points

_COCO = 17
# MediaPipe's points in COCO's order: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
_PLACES = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
# What COCO lacks is put on its nearest point: the mouth on the nose, fingers on the wrist, feet on the ankle.
_NEAREST = {
    1: 1,
    3: 1,
    4: 2,
    6: 2,
    9: 0,
    10: 0,
    17: 9,
    19: 9,
    21: 9,
    18: 10,
    20: 10,
    22: 10,
    29: 15,
    31: 15,
    30: 16,
    32: 16,
}


def persons_of(detections: Detections, size: tuple[int, int]) -> tuple[Person, ...]:
    """The tracks with COCO's key points as persons, by track; ``size`` is the frame's width and height in pixels.

    Depth is 0, and the world's landmarks are NaN: a model that takes them cannot label these persons.
    """
    points, tracks = detections.keypoints, detections.track_ids
    if points is None or tracks is None or points.shape[1] != _COCO:
        return ()
    persons = [
        Person(int(track), _landmarks(points[index], size), tuple(detections.boxes[index].tolist()))
        for index, track in enumerate(tracks)
        if track >= 0
    ]
    return tuple(sorted(persons, key=lambda person: person.number))


def _landmarks(points: Points, size: tuple[int, int]) -> Landmarks:
    pose = np.zeros((POSE_POINTS, 5), np.float32)
    rows = np.concatenate([points[:, :2] / np.array(size, np.float32), points[:, 2:]], axis=1)
    where = [*_PLACES, *_NEAREST]
    values = rows[[*range(_COCO), *_NEAREST.values()]]
    pose[where, :2] = values[:, :2]
    pose[where, 3:] = values[:, 2:]
    return Landmarks(pose, np.full((POSE_POINTS, 3), np.nan, np.float32), size)
