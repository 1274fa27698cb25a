"""Each person has a label of their own, by its own window."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stream_client import ArraySource, Landmarks, Request, Result, StreamClient
from stream_client.classify import DecisionOptions, FeatureSchema, PoseClassifier, TrackClassifiers, TrainedModel
from stream_client.classify.factory import check_fits_key_points
from stream_client.errors import ConfigurationError
from stream_client.landmarks.keypoints import persons_of
from stream_client.sinks.labels import LabelsSink
from stream_client.testing import FakeTransport, frames
from stream_client.tracking import ByteTrack, DetectionOptions, DetectionReader
from stream_client.transport.function import Outputs
from tests.client.classify.test_pose_classifier import MODEL, SCHEMA, WINDOW, hand_up

RATE = 30
# COCO's points of a person of 100 pixels, about the hips: y grows downwards.
BODY = np.array(
    [[0, -60], [2, -62], [-2, -62], [5, -60], [-5, -60], [12, -45], [-12, -45], [16, -25], [-16, -25], [18, -5],
     [-18, -5], [8, 0], [-8, 0], [9, 25], [-9, 25], [9, 48], [-9, 48]], np.float32,
)  # fmt: skip


def row(x: float, *, up: bool) -> list[float]:
    """A person in MoveNet's layout, fractions of 256: 17 of (y, x, score), then top, left, bottom, right, score."""
    points = BODY + np.array([x, 100], np.float32)
    points[9] = [x + 18, 100 - 80 if up else 100 + 5]
    yxs = np.concatenate([points[:, ::-1] / 256, np.full((17, 1), 0.9)], axis=1)
    return [*yxs.reshape(-1), 30 / 256, (x - 25) / 256, 150 / 256, (x + 25) / 256, 0.9]


def two_persons(request: Request) -> Outputs:
    """One walks to the right with the left hand up, the other comes from there with both down; then one is hidden."""
    index = round(request.timestamp * RATE / 1e6)
    table = np.zeros((1, 6, 56), np.float32)
    table[0, 0] = row(40 + index, up=True)
    if not 100 <= index < 107:
        table[0, 1] = row(216 - index, up=False)
    return {"output_0": table}


def make() -> PoseClassifier:
    return PoseClassifier(MODEL, decision=DecisionOptions(smoothing=0))


def landmarks(wrist: float) -> Landmarks:
    pose = np.zeros((33, 5), np.float32)
    pose[[11, 12], 1], pose[15, 1] = -0.5, wrist
    return Landmarks(pose, np.zeros((33, 3), np.float32), (100, 100))


def test_persons_who_cross_and_hide_keep_their_own_labels(tmp_path: Path) -> None:
    results: list[Result] = []
    reader = DetectionReader(DetectionOptions(detections="movenet"), class_names=["person"], tracker=ByteTrack())
    StreamClient(
        ArraySource(frames(150, 256, 256), frame_rate=RATE),
        [results.append, LabelsSink(tmp_path / "labels.jsonl")],
        FakeTransport(two_persons),
        detector=reader,
        track_classifier=TrackClassifiers(make),
    ).run()
    named = [{each.number: each.label.name for each in result.persons if each.label is not None} for result in results]
    walker = results[20].persons[0].number
    other = results[20].persons[-1].number
    for index in (*range(40, 100), *range(112, 150)):
        assert named[index] == {walker: "up", other: "down"}, index
    assert all(named[index] == {walker: "up"} for index in range(101, 107))
    (last, *_) = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()][::-1]
    assert {one["person"]: one["label"] for one in last["persons"]} == {walker: "up", other: "down"}


def test_what_is_remembered_of_tracks_is_bounded_in_time_and_number() -> None:
    tracks = TrackClassifiers(make, forget=1.0, most=3)
    for number in range(10):
        tracks.classify({number: landmarks(-0.4)}, number * 10_000)
    assert len(tracks) == 3
    tracks.classify({99: landmarks(0)}, 5_000_000)
    assert len(tracks) == 1


def test_a_person_who_is_hidden_keeps_the_window() -> None:
    def label_after(hidden: int) -> str:
        tracks = TrackClassifiers(make, forget=1.0)
        for index in range(30):
            tracks.classify({7: landmarks(-0.4)}, index * 33_333)
        return tracks.classify({7: landmarks(-0.4)}, 1_000_000 + hidden)[7].name

    assert label_after(100_000) == "up"
    assert label_after(2_000_000) == "unknown"


def test_a_window_goes_on_after_a_hidden_second_and_not_after_a_longer_time() -> None:
    def labels_after(hidden: int) -> tuple[str, str]:
        """After the last frame without the person, and with the first one."""
        first = make()
        classifiers = iter([first, make()])
        tracks = TrackClassifiers(lambda: next(classifiers))
        for index in range(30):
            tracks.classify({7: landmarks(-0.4)}, index * 33_333)
        for index in range(30, 30 + hidden):
            assert 7 not in tracks.classify({8: landmarks(0)}, index * 33_333)
        waited = first.current_classification
        return waited, tracks.classify({7: landmarks(-0.4)}, (30 + hidden) * 33_333)[7].name

    assert labels_after(30) == ("up", "up")
    assert labels_after(45) == ("unknown", "unknown")


def test_key_points_become_landmarks_of_the_same_side() -> None:
    from stream_client.classify.joints import JOINT
    from stream_client.frames import Detections

    points = np.concatenate([BODY + 100, np.full((17, 1), 0.8, np.float32)], axis=1)[None]
    two: npt.NDArray[np.float32] = np.concatenate([points, points])
    boxes, scores = np.zeros((2, 4), np.float32), np.ones(2, np.float32)
    found = Detections(boxes, scores, np.zeros(2, np.int64), track_ids=np.array([4, -1]), keypoints=two)
    (person,) = persons_of(found, (200, 200))
    pixels = person.landmarks.pixels()[:33, :2]
    assert pixels[JOINT["left_wrist"]] == pytest.approx([118, 95])
    assert pixels[JOINT["right_ankle"]] == pytest.approx([91, 148])
    assert pixels[JOINT["left_foot_index"]] == pytest.approx([109, 148])
    assert person.number == 4
    assert person.landmarks.pose[:, 3] == pytest.approx(0.8)


def test_a_model_of_hands_or_metres_cannot_label_key_points() -> None:
    check_fits_key_points(make())
    world = TrainedModel.from_callable(hand_up, ["a", "b"], FeatureSchema(space="world"), WINDOW)
    with pytest.raises(ConfigurationError, match="landmarks in meters"):
        check_fits_key_points(PoseClassifier(world))
    assert SCHEMA.space == "image"
