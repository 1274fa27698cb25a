from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from stream_client.compat.streamposeml import (
    MediaPipeClient,
    MLFlowClient,
    SequenceTransformer,
    StreamPoseClient,
    TrainedModel,
)
from stream_client.compat.streamposeml.clients import as_classification
from stream_client.errors import ConfigurationError, PredictionError

PERSON = np.random.default_rng(3).uniform(0.2, 0.8, (33, 3))
NOBODY: dict[str, Any] = {"landmarks": []}


def keypoints(arm: float = 0.0) -> dict[str, Any]:
    points = PERSON.copy()
    points[15, 1] += arm  # the left wrist
    return {"landmarks": [[dict(zip("xyz", point, strict=True)) for point in points.tolist()]]}


class Bent:
    """Whether the left elbow is bent by more than a right angle."""

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows)[:, 0] < np.pi / 2


def model(columns: Sequence[str] = ("angle_left_elbow",)) -> TrainedModel:
    trained = TrainedModel()
    trained.set_model(model=Bent(), model_data={"feature_names": list(columns)})
    return trained


def test_a_window_is_classified_once_it_is_full() -> None:
    client = StreamPoseClient(4, None, model(), SequenceTransformer())
    assert [client.run_keypoint_pipeline(keypoints()) for _ in range(6)] == [False, False, False, True, True, True]
    assert isinstance(client.current_classification, bool)
    assert client.prediction_processing_time is not None
    assert client.prediction_processing_time > 0


def test_a_frame_without_a_person_begins_a_new_window() -> None:
    client = StreamPoseClient(3, None, model(), SequenceTransformer())
    answers = [client.run_keypoint_pipeline(one) for one in [keypoints()] * 3 + [NOBODY] + [keypoints()] * 3]
    assert answers == [False, False, True, False, False, False, True]


def test_a_gap_in_time_begins_a_new_window() -> None:
    client = StreamPoseClient(3, None, model(), SequenceTransformer(), frame_rate=10)
    times = [0, 100_000, 200_000, 2_000_000, 2_100_000, 2_200_000]
    answers = [client.run_keypoint_pipeline(keypoints(), time) for time in times]
    assert answers == [False, False, True, False, False, True]


def test_frame_overlap_says_how_many_frames_two_windows_share() -> None:
    asked: list[Mapping[str, float]] = []

    def predict(columns: Mapping[str, float]) -> Any:
        asked.append(columns)
        return {"predictions": [[0.2, 0.8]]}

    columns = ["angle_right_knee", "angle_left_elbow"]
    client = MLFlowClient(
        mediapipe_client_instance=MediaPipeClient(dummy_client=True),
        data_transformer=SequenceTransformer(),
        predict_fn=predict,
        input_example={"columns": columns},
        frame_window=5,
        frame_overlap=2,
    )
    answers = [client.run_keypoint_pipeline(keypoints()) for _ in range(11)]
    assert [index for index, answer in enumerate(answers) if answer] == [4, 7, 10]
    assert [list(row) for row in asked] == [columns] * 3
    assert client.current_classification is True
    assert client.current_confidence == 0.8


def test_columns_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigurationError, match="no such columns: angle_tail"):
        MLFlowClient(
            data_transformer=SequenceTransformer(),
            predict_fn=lambda row: [1],
            input_example={"columns": ["angle_left_knee", "angle_tail"]},
        )
    client = StreamPoseClient(1, None, model(["angle_left_elbo"]), SequenceTransformer())
    with pytest.raises(ConfigurationError, match="did you mean angle_left_elbow"):
        client.run_keypoint_pipeline(keypoints())


def test_a_transformer_of_the_programs_own_gets_streamposemls_sequence() -> None:
    class Own:
        def transform(self, data: Any, columns: Any) -> Any:
            frame = data["frames"][-1]
            angle = frame["angles"]["left_shoulder_left_elbow_to_plumb_line"]["angle_2d"]
            return np.array([[angle, frame["joint_positions"]["nose"]["x"]]]), {"frames": len(data["frames"])}

    client = StreamPoseClient(2, None, model(), Own())
    assert [client.run_keypoint_pipeline(keypoints()) for _ in range(2)] == [False, True]


def test_a_transformer_that_raises_is_a_failed_prediction() -> None:
    class Broken:
        def transform(self, data: Any, columns: Any) -> Any:
            raise KeyError("torso")

    client = StreamPoseClient(1, None, model(), Broken())
    with pytest.raises(PredictionError, match="KeyError: 'torso'"):
        client.run_keypoint_pipeline(keypoints())
    assert client.current_classification is None


def test_original_features_serve_a_model_that_was_trained_with_them() -> None:
    columns = ["angles.frame-2-nose_neck_to_plumb_line.angle_2d", "joints.frame-1-nose.x"]
    client = StreamPoseClient(2, None, model(columns), SequenceTransformer(original_features=True))
    assert [client.run_keypoint_pipeline(keypoints()) for _ in range(2)] == [False, True]


def test_a_dummy_client_takes_no_frames() -> None:
    client = StreamPoseClient(2, MediaPipeClient(dummy_client=True), model(), SequenceTransformer())
    with pytest.raises(ConfigurationError, match="dummy_client"):
        client.run_frame_pipeline(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ConfigurationError, match="mediapipe_client_instance"):
        StreamPoseClient(2).run_frame_pipeline(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.parametrize(
    "image", [np.zeros((0, 4, 3), np.uint8), None, np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_what_is_no_image_is_refused(image: Any) -> None:
    client = StreamPoseClient(2, MediaPipeClient(), model(), SequenceTransformer())
    with pytest.raises(ConfigurationError, match=r"cv2\.imread"):
        client.run_frame_pipeline(image)


@pytest.mark.parametrize(
    ("answer", "classification"),
    [
        (1, (True, None)),
        ([0], (False, None)),
        (np.array([2]), (2, None)),
        (["squat"], ("squat", None)),
        ({"predictions": [[0.25, 0.75]]}, (True, 0.75)),
        ({"predictions": [[0.1, 0.1, 0.8]]}, (2, 0.8)),
        ({"prediction": True}, (True, None)),
    ],
)
def test_a_class_or_probabilities_are_a_classification(answer: Any, classification: Any) -> None:
    assert as_classification(answer) == classification


@pytest.mark.parametrize(
    "answer", [{"error_code": "BAD_REQUEST"}, [], None, 0.4, [[float("nan"), 1.0]], {"predictions": [{}]}]
)
def test_anything_else_is_no_classification(answer: Any) -> None:
    with pytest.raises(PredictionError):
        as_classification(answer)


@pytest.mark.parametrize(
    "settings",
    [
        {"frame_window": 0},
        {"frame_window": "9"},
        {"frame_window": 3, "frame_overlap": 3},
        {"frame_window": 3, "frame_overlap": 0.5},
        {"frame_rate": 0, "frame_window": 9},
    ],
)
def test_impossible_windows_are_refused(settings: Any) -> None:
    with pytest.raises(ConfigurationError, match="frame_"):
        MLFlowClient(predict_fn=lambda row: [1], **settings)


def test_an_input_example_that_is_no_dictionary_is_refused() -> None:
    example: Any = ["angle_left_elbow"]
    with pytest.raises(ConfigurationError, match=r"input_example is \{'columns'.*, not list"):
        MLFlowClient(predict_fn=lambda row: [1], input_example=example)


@pytest.mark.parametrize("data", [{}, [], {"frames": 3}])
def test_what_is_no_sequence_is_refused(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="a sequence is a dictionary with a list of 'frames'"):
        SequenceTransformer().transform(data)
