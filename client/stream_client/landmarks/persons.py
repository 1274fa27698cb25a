"""Several persons from the tensors of graphs/holistic_persons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.errors import ProtocolError
from stream_client.frames import FACE_POINTS, HAND_POINTS, POSE_POINTS, Detections, Landmarks, Person, Points, Tensor

COUNT, IDS, LANDMARKS, WORLD, REGIONS, CARRIED, SCORES = OUTPUTS = (
    *("person_count", "person_ids", "person_landmarks", "person_world"),
    *("person_regions", "person_carried", "person_scores"),
)
"""The graph's outputs. Not every graph has regions, and says who is carried."""

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
    rows = rows_of(outputs)
    if rows is None:
        return ()
    unit = np.array([shown[0], shown[1], shown[0]], np.float32) * np.float32(sent[1] / shown[1])
    scale = np.array([sent[0], sent[1], sent[0]], np.float32) / unit
    persons = []
    carried = carried_of(outputs, len(rows.numbers))
    for number, points, meters, moved in zip(rows.numbers, rows.landmarks, rows.world, carried, strict=True):
        if number < 1 or not np.isfinite(points[:POSE_POINTS]).all() or not np.isfinite(meters).all():
            continue
        placed = points.copy()
        placed[:, :3] *= scale
        hands = POSE_POINTS, POSE_POINTS + HAND_POINTS
        found = Landmarks(
            pose=placed[:POSE_POINTS],
            pose_world=meters,
            size=shown,
            left_hand=part(placed, hands[0], HAND_POINTS),
            right_hand=part(placed, hands[1], HAND_POINTS),
            face=part(placed, POSE_POINTS + 2 * HAND_POINTS, FACE_POINTS),
        )
        persons.append(Person(int(number), found, box_of(found), carried=moved))
    return tuple(sorted(persons, key=lambda person: person.number))


def carried_of(outputs: Mapping[str, Tensor], count: int) -> list[bool]:
    """For each of ``count`` persons in the frame whether nobody looked at them; raises :class:`.ProtocolError`."""
    tensor = outputs.get(CARRIED)
    if tensor is None:
        return [False] * count
    if tensor.array.dtype != np.int32 or tensor.array.ndim != 1 or len(tensor.array) < count:
        raise ProtocolError(f"output {CARRIED!r} of shape {list(tensor.array.shape)} does not fit {count} persons")
    return [bool(value) for value in tensor.array[:count]]


def scores_of(outputs: Mapping[str, Tensor]) -> Mapping[int, npt.NDArray[Any]]:
    """The label scores of each person by number; empty where the graph gives none."""
    rows, scores = rows_of(outputs), outputs.get(SCORES)
    if rows is None or scores is None or scores.array.ndim != 2 or len(scores.array) < len(rows.numbers):
        return {}
    return {int(number): scores.array[row] for row, number in enumerate(rows.numbers)}


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


@dataclass(frozen=True, slots=True)
class Rows:
    """The graph's tensors, cut to the persons in the frame.

    ``numbers`` is int32 [n], ``landmarks`` float32 [n, 543, 5], ``world`` float32 [n, 33, 3] and ``regions`` float64
    [n, 2], NaN where the graph gives none.
    """

    numbers: npt.NDArray[Any]
    landmarks: Points
    world: Points
    regions: npt.NDArray[Any]


def rows_of(outputs: Mapping[str, Tensor]) -> Rows | None:
    """The persons in the frame; ``None`` where the graph gives none. Raises :class:`.ProtocolError`."""
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
    regions = outputs.get(REGIONS)
    given_regions = np.full((number, 2), np.nan) if regions is None else regions.array[:number]
    if given_regions.shape != (number, 2):
        raise ProtocolError(f"output {REGIONS!r} of shape {list(given_regions.shape)} does not fit {number} persons")
    return Rows(ids[:number], landmarks[:number], world[:number], given_regions)


def part(points: Points, start: int, count: int) -> Points | None:
    """Landmarks of a part, [count, 3]; ``None`` where it is not seen."""
    part = points[start : start + count, :3]
    return part if np.isfinite(part).all() else None
