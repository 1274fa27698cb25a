from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.classify import UNKNOWN, DecisionOptions, FeatureSchema, PoseClassifier, TrainedModel, WindowSpec
from stream_client.classify.joints import JOINT
from stream_client.errors import ConfigurationError
from stream_client.frames import Frame

SCHEMA = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
WINDOW = WindowSpec(length_ms=500, overlap_ms=250, rate=20, pooling=("mean",))
DECISION = DecisionOptions(smoothing=0)


def hand_up(rows: npt.NDArray[np.float32]) -> Any:
    """Probability that the left wrist is above the hips (y grows downwards)."""
    up = (rows[:, 1] < 0).astype(float)
    return np.stack([up, 1 - up], axis=1)


def person(wrist: float) -> npt.NDArray[np.float64]:
    points = np.zeros((33, 3))
    points[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1] = -100
    points[JOINT["left_wrist"], 1] = wrist
    return points


MODEL = TrainedModel.from_callable(hand_up, ["up", "down"], SCHEMA, WINDOW)


def test_a_window_of_keypoints_becomes_a_label() -> None:
    classifier = PoseClassifier(MODEL, decision=DECISION)
    labels = []
    for index in range(60):
        state = classifier.run_keypoint_pipeline(person(-50 if index < 30 else 50), index * 33_333)
        labels.append(state.label)
    assert labels[0] == UNKNOWN
    assert labels[29] == "up"
    assert labels[-1] == "down"
    assert classifier.current_classification == "down"
    assert classifier.current_confidence == 1.0
    assert classifier.prediction_processing_time > 0


def test_a_gap_of_a_second_is_unknown() -> None:
    classifier = PoseClassifier(MODEL, decision=DECISION)
    for index in range(30):
        classifier.run_keypoint_pipeline(person(-50), index * 33_333)
    assert classifier.current_classification == "up"
    assert classifier.run_keypoint_pipeline(person(-50), 2_000_000).label == UNKNOWN


def test_a_person_who_leaves_is_unknown_at_once() -> None:
    classifier = PoseClassifier(MODEL, decision=DECISION)
    for index in range(30):
        classifier.run_keypoint_pipeline(person(-50), index * 33_333)
    assert classifier.run_keypoint_pipeline(None, 1_000_000).label == UNKNOWN


def test_frames_go_through_the_landmark_function() -> None:
    model = TrainedModel.from_callable(hand_up, ["up", "down"], SCHEMA, None)
    classifier = PoseClassifier(
        model, landmarks=lambda frame: person(float(frame.image[0, 0, 0]) - 100), decision=DECISION
    )
    frame = Frame(0, 0, np.full((2, 2, 3), 10, np.uint8), 0.0)
    assert classifier.run_frame_pipeline(frame).label == "up"
    assert classifier.run_frame_pipeline(replace(frame, image=np.full((2, 2, 3), 200, np.uint8))).label == "down"
    with pytest.raises(ConfigurationError, match="landmarks="):
        PoseClassifier(model).run_frame_pipeline(frame)


def test_a_model_of_other_features_is_refused_and_the_difference_named() -> None:
    with pytest.raises(ConfigurationError, match="only here left_wrist, only there right_wrist"):
        PoseClassifier(MODEL, schema=replace(SCHEMA, coordinates=("right_wrist",)))
    with pytest.raises(ConfigurationError, match=r"500 ms, overlap 250 ms, 20/s.* against 600 ms"):
        PoseClassifier(MODEL, window=replace(WINDOW, length_ms=600))


def test_after_a_reset_nothing_of_before_counts() -> None:
    classifier = PoseClassifier(MODEL, decision=DECISION)
    for index in range(30):
        classifier.run_keypoint_pipeline(person(-50), index * 33_333)
    classifier.reset()
    assert classifier.current_classification == UNKNOWN
    assert classifier.run_keypoint_pipeline(person(-50), 1_000_000).label == UNKNOWN


def test_a_model_that_answers_another_shape_is_refused() -> None:
    model = TrainedModel.from_callable(lambda rows: np.zeros((len(rows), 3)), ["up", "down"], SCHEMA, None)
    with pytest.raises(ConfigurationError, match=r"\[1, 3\] for 1 rows and 2 labels"):
        PoseClassifier(model).run_keypoint_pipeline(person(0), 0)
