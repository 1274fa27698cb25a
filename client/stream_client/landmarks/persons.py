"""Several persons from the tensors of graphs/holistic_persons."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.errors import ProtocolError
from stream_client.frames import FACE_POINTS, HAND_POINTS, POSE_POINTS, Detections, Landmarks, Person, Points, Tensor

COUNT, IDS, LANDMARKS, WORLD, SCORES = (
    *("person_count", "person_ids", "person_landmarks"),
    *("person_world", "person_scores"),
)
"""The graph's outputs."""
OUTPUTS = (COUNT, IDS, LANDMARKS, WORLD, SCORES)

_POINTS = POSE_POINTS + 2 * HAND_POINTS + FACE_POINTS
_MOST = 64
_VISIBLE = 0.5
"""The least visibility of landmarks that count for a box."""
_MARGIN = 0.1
"""Of a box's sides, on each of them: landmarks are joints, and a body is wider."""
_PERSON = ("person",)

Size = tuple[int, int]
"""Width and height in pixels."""


def count_of(outputs: Mapping[str, Tensor]) -> int | None:
    """How many persons the graph saw; ``None`` where it did not say."""
    tensor = outputs.get(COUNT)
    return None if tensor is None or tensor.array.size != 1 else int(tensor.array.reshape(-1)[0])


def decode_persons(outputs: Mapping[str, Tensor], sent: Size, shown: Size) -> tuple[Person, ...]:
    """The persons of a frame, by number, without labels.

    ``sent`` is the size of the image that was sent, perhaps smaller than the frame and padded on its right. Landmarks
    are relative to ``shown``, the size of the whole frame. Raises :class:`.ProtocolError` for tensors that do not fit
    together.
    """
    rows = _rows(outputs)
    if rows is None:
        return ()
    numbers, landmarks, world = rows
    unit = np.array([shown[0], shown[1], shown[0]], np.float32) * np.float32(sent[1] / shown[1])
    scale = np.array([sent[0], sent[1], sent[0]], np.float32) / unit
    persons = []
    for number, points, metres in zip(numbers, landmarks, world, strict=True):
        if number < 1 or not np.isfinite(points[:POSE_POINTS]).all() or not np.isfinite(metres).all():
            continue
        placed = points.copy()
        placed[:, :3] *= scale
        hands = POSE_POINTS, POSE_POINTS + HAND_POINTS
        found = Landmarks(
            pose=placed[:POSE_POINTS],
            pose_world=metres,
            size=shown,
            left_hand=_part(placed, hands[0], HAND_POINTS),
            right_hand=_part(placed, hands[1], HAND_POINTS),
            face=_part(placed, POSE_POINTS + 2 * HAND_POINTS, FACE_POINTS),
        )
        persons.append(Person(int(number), found, box_of(found)))
    return tuple(sorted(persons, key=lambda person: person.number))


def scores_of(outputs: Mapping[str, Tensor]) -> Mapping[int, npt.NDArray[Any]]:
    """The label scores of each person by number; empty where the graph gives none."""
    rows, scores = _rows(outputs), outputs.get(SCORES)
    if rows is None or scores is None or scores.array.ndim != 2 or len(scores.array) < len(rows[0]):
        return {}
    return {int(number): scores.array[row] for row, number in enumerate(rows[0])}


def as_detections(persons: tuple[Person, ...]) -> Detections:
    """The persons as detections with tracks; the score of a box is the mean visibility of its landmarks."""
    count = len(persons)
    return Detections(
        boxes=np.array([person.box for person in persons], np.float32).reshape(count, 4),
        scores=np.array([person.landmarks.pose[:, 3].mean() for person in persons], np.float32),
        class_ids=np.zeros(count, np.int64),
        class_names=_PERSON,
        track_ids=np.array([person.number for person in persons], np.int64),
    )


def box_of(landmarks: Landmarks) -> tuple[float, float, float, float]:
    """The box of the visible landmarks of the body, a little wider: left, top, right, bottom in pixels."""
    pose = landmarks.pose
    seen = pose[pose[:, 3] >= _VISIBLE] if (pose[:, 3] >= _VISIBLE).any() else pose
    width, height = landmarks.size
    low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
    margin = _MARGIN * (high - low)
    left, top = np.clip(low - margin, 0, 1)
    right, bottom = np.clip(high + margin, 0, 1)
    return float(left * width), float(top * height), float(right * width), float(bottom * height)


def _rows(outputs: Mapping[str, Tensor]) -> tuple[npt.NDArray[Any], Points, Points] | None:
    """Numbers, landmarks and world landmarks of the persons in the frame; ``None`` where the graph gives none."""
    given = [outputs.get(name) for name in (COUNT, IDS, LANDMARKS, WORLD)]
    if any(tensor is None for tensor in given):
        return None
    count, ids, landmarks, world = (tensor.array for tensor in given if tensor is not None)
    fits = (
        count.size == 1
        and count.dtype == ids.dtype == np.int32
        and landmarks.dtype == world.dtype == np.float32
        and ids.ndim == 1
        and landmarks.shape == (len(ids), _POINTS, 5)
        and world.shape == (len(ids), POSE_POINTS, 3)
    )
    if not fits or not 0 <= (number := int(count.reshape(-1)[0])) <= min(len(ids), _MOST):
        shapes = ", ".join(f"{name} {list(outputs[name].array.shape)}" for name in (COUNT, IDS, LANDMARKS, WORLD))
        raise ProtocolError(f"the persons of an answer do not fit together: {shapes}", option="model_name")
    return ids[:number], landmarks[:number], world[:number]


def _part(points: Points, start: int, count: int) -> Points | None:
    part = points[start : start + count, :3]
    return part if np.isfinite(part).all() else None
