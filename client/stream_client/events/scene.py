"""A result as rules see it: what is in the frame, and where."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stream_client.classify.joints import BODY, JOINT
from stream_client.events.expression import Value
from stream_client.events.geometry import Point
from stream_client.frames import Label, Landmarks, Result

LANDMARK_NAMES = frozenset({"pose", "world", "body"})
FRAME_NAMES = LANDMARK_NAMES | {"time", "frame", "label", "score", "scores", "detections"}
"""What an expression may name."""
TRACK_NAMES = FRAME_NAMES | {"track", "kind", "x", "y", "box"}
"""What an expression about one track may name."""
_VISIBLE = 0.5
"""Least visibility of the landmarks that make a person's box."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing in a frame.

    ``track`` is its track, ``None`` where it has none. ``box`` is left, top, right, bottom in pixels, ``place`` the
    middle of the box's lower edge, where a person stands, as fractions of the frame. ``label`` is its own, where things
    are labeled one by one, ``landmarks`` a person's.
    """

    kind: str
    score: float
    box: tuple[float, float, float, float]
    place: Point
    track: int | None = None
    label: Label | None = None
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A result's content. ``time`` is in µs of the source. ``values`` are what expressions may name."""

    time: int
    label: Label | None
    subjects: tuple[Subject, ...]
    values: Mapping[str, Value]


def scene_of(result: Result) -> Scene:
    """What rules see of ``result``.

    Without detections, the one person of a graph with landmarks is a ``person`` of track 0.
    """
    subjects = _detected(result) if result.detections is not None else _person(result)
    return Scene(round(result.time * 1e6), result.label, subjects, _values(result, subjects))


def track_values(scene: Scene, subject: Subject) -> Mapping[str, Value]:
    """What an expression about ``subject`` may name."""
    label = scene.label if subject.label is None else subject.label
    return {
        **scene.values,
        **_label_values(label),
        **_landmark_values(subject.landmarks),
        "track": subject.track,
        "kind": subject.kind,
        "x": subject.place[0],
        "y": subject.place[1],
        "box": _box(subject),
    }


def _detected(result: Result) -> tuple[Subject, ...]:
    found = result.detections
    assert found is not None
    height, width = result.image.shape[:2]
    persons = {person.number: person for person in result.persons}
    subjects = []
    for index, (left, top, right, bottom) in enumerate(found.boxes.tolist()):
        track = -1 if found.track_ids is None else int(found.track_ids[index])
        person = persons.get(track)
        subjects.append(
            Subject(
                found.name(index),
                float(found.scores[index]),
                (left, top, right, bottom),
                ((left + right) / 2 / width, bottom / height),
                None if track < 0 else track,
                None if person is None else person.label,
                None if person is None else person.landmarks,
            )
        )
    return tuple(subjects)


def _person(result: Result) -> tuple[Subject, ...]:
    landmarks = result.landmarks
    if landmarks is None:
        return ()
    seen = landmarks.pose[landmarks.pose[:, 3] >= _VISIBLE]
    if not len(seen):
        return ()
    height, width = result.image.shape[:2]
    (left, top), (right, bottom) = np.clip([seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)], 0, 1).tolist()
    box = (left * width, top * height, right * width, bottom * height)
    place = ((left + right) / 2, bottom)
    return (Subject("person", float(seen[:, 3].mean()), box, place, 0, result.label, landmarks),)


def _values(result: Result, subjects: tuple[Subject, ...]) -> Mapping[str, Value]:
    return {
        "time": result.time,
        "frame": result.frame.index,
        **_label_values(result.label),
        "detections": [
            {"kind": each.kind, "score": each.score, "track": each.track, "x": each.place[0], "y": each.place[1]}
            for each in subjects
        ],
        **_landmark_values(result.landmarks),
    }


def _landmark_values(landmarks: Landmarks | None) -> dict[str, Value]:
    if landmarks is None:
        return {"pose": None, "world": None, "body": None}
    return {
        "pose": _points(landmarks.pose.tolist(), ("x", "y", "z", "visibility")),
        "world": _points(landmarks.pose_world.tolist(), ("x", "y", "z")),
        "body": body_measures(landmarks),
    }


def _label_values(label: Label | None) -> dict[str, Value]:
    if label is None:
        return {"label": None, "score": None, "scores": None}
    return {"label": label.name, "score": label.score, "scores": dict(label.scores)}


def _points(rows: list[list[float]], axes: tuple[str, ...]) -> dict[str, Value]:
    return {name: dict(zip(axes, row, strict=False)) for name, row in zip(BODY, rows, strict=True)}


def body_measures(landmarks: Landmarks) -> dict[str, Value]:
    """Posture in numbers, from the landmarks in meters.

    ``torso_angle``: between the line from the hips' middle to the shoulders' and the vertical, in degrees, 0 upright,
    180 head down. ``height``: from the lowest point to the highest, in meters. ``visibility``: the mean of shoulders
    and hips, 0…1.
    """
    world = landmarks.pose_world
    shoulders = world[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(axis=0)
    hips = world[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
    across, up = float(np.hypot(shoulders[0] - hips[0], shoulders[2] - hips[2])), float(hips[1] - shoulders[1])
    torso = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("shoulder", "hip")]
    return {
        "torso_angle": float(np.degrees(np.arctan2(across, up))),
        "height": float(world[:, 1].max() - world[:, 1].min()),
        "visibility": float(landmarks.pose[torso, 3].mean()),
    }


def _box(subject: Subject) -> dict[str, Value]:
    return dict(zip(("left", "top", "right", "bottom"), subject.box, strict=True))
