"""Accuracy on the shared data, and the whole way on a real clip's landmarks."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import shared

from stream_client.classify import DecisionOptions, TrainedModel, WindowSpec
from stream_client.training.clips import Track, chosen, join_parts, read_annotations
from stream_client.training.estimators import Scores, cross_validate, fit, grouped_folds
from stream_client.training.evaluate import agreement, compare, timeline
from stream_client.training.train import load_dataset

pytestmark = pytest.mark.timeout(180)

LABELS = ["Left Step", "Right Step"]


def accuracy(name: str, path: Path) -> float:
    dataset = load_dataset(path)
    folds = grouped_folds(dataset)
    assert len(folds) == 5
    return Scores(name, np.sum(list(cross_validate(name, dataset, folds)), axis=0)).accuracy


def test_postures_reach_97_percent_with_source_videos_held_out() -> None:
    assert accuracy("extra trees", shared("fitness_pose_samples.csv")) >= 0.97


def test_the_small_model_for_the_graph_reaches_96_percent() -> None:
    assert accuracy("small MLP", shared("fitness_pose_samples.csv")) >= 0.96


def test_fingertip_windows_reach_98_percent_with_blocks_of_rows_held_out() -> None:
    assert accuracy("extra trees", shared("kinivi_point_history.csv")) >= 0.98


def dance(_: Path) -> Track:
    """The landmarks of the dance clip, as MediaPipe gave them; 30 frames a second."""
    with np.load(shared("golden/dance.npz")) as arrays:
        parts = {name: arrays[name] for name in arrays.files}
    frames = len(parts["pose"])
    return Track(
        "dance", np.round(np.arange(frames) * 1e6 / 30).astype(np.int64), join_parts(parts, 1280, 720, space="image")
    )


@pytest.fixture(scope="module")
def steps() -> TrainedModel:
    data = shared("clips/dance.annotations.json")
    dataset = load_dataset(data, window=WindowSpec(500, 400), labels=LABELS, find=dance)
    estimator = fit("extra trees", dataset, np.arange(len(dataset.rows)))
    return TrainedModel.from_estimator(estimator, dataset.labels, dataset.schema, dataset.window)


def test_what_was_learnt_from_the_dance_reproduces_its_spans(steps: TrainedModel) -> None:
    spans = chosen(read_annotations(shared("clips/dance.annotations.json")), LABELS, Path("dance"))
    result = compare(timeline(steps, dance(Path()), DecisionOptions(smoothing=0.1)), spans)
    assert result.found == len(spans) == 6
    assert result.false_changes == 0


@pytest.mark.parametrize("every", [2, 3])
def test_the_labels_agree_at_half_and_a_third_of_the_frame_rate(steps: TrainedModel, every: int) -> None:
    model, track = steps, dance(Path())
    slower = Track(track.name, track.timestamps[::every], track.landmarks[::every])
    assert agreement(timeline(model, track), timeline(model, slower)) >= 0.95


def test_the_committed_pose_classifier_sees_a_dancer_stand() -> None:
    import openvino as ov

    from graph_server.resources import project_file

    model = ov.Core().compile_model(str(project_file("models/pose_classifier/1/pose_classifier.onnx")), "CPU")
    labels = project_file("models/pose_classifier/labels.txt").read_text().split("\n")
    track = dance(Path())
    standing = 0
    for points in track.landmarks:
        tensor = np.zeros((39, 5), np.float32)
        tensor[:33, :3] = points[:33]
        standing += labels[int(model(tensor.reshape(1, 195))[0].argmax())] == "standing"
    assert standing >= 0.95 * len(track.landmarks)
