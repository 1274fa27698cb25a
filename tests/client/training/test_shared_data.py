"""Accuracy on the shared data, and the whole way on a real clip's landmarks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream_client.classify import UNKNOWN, TrainedModel, WindowSpec
from stream_client.training.annotations import read_annotation_file
from stream_client.training.clips import FindLandmarks
from stream_client.training.consensus import consensus
from stream_client.training.estimators import cross_validate, grouped_folds, scores_of
from stream_client.training.evaluate import compare, timeline
from stream_client.training.landmarks import LEARNT_RATE, GraphServerLandmarks
from stream_client.training.load import load_dataset
from stream_client.training.result import Training
from stream_client.training.train import TrainOptions, train
from stream_client.training.windows import ClipOptions
from tests.conftest import shared

pytestmark = pytest.mark.timeout(180)

LABELS = ["Left Step", "Right Step"]


def accuracy(name: str, path: Path) -> float:
    dataset = load_dataset(path)
    folds = grouped_folds(dataset)
    assert len(folds) == 5
    return scores_of(name, dataset, cross_validate(name, dataset, folds)).accuracy


def test_postures_reach_97_percent_with_source_videos_held_out() -> None:
    assert accuracy("extra trees", shared("fitness_pose_samples.csv")) >= 0.97


def test_the_small_model_for_the_graph_reaches_96_percent() -> None:
    assert accuracy("small MLP", shared("fitness_pose_samples.csv")) >= 0.96


def test_fingertip_windows_reach_98_percent_with_blocks_of_rows_held_out() -> None:
    assert accuracy("extra trees", shared("kinivi_point_history.csv")) >= 0.98


@pytest.fixture(scope="module")
def find(models_dir: Path) -> Iterator[FindLandmarks]:
    with GraphServerLandmarks(models_dir=models_dir) as finder:
        yield finder


@pytest.fixture(scope="module")
def learned(models_dir: Path) -> Iterator[FindLandmarks]:
    with GraphServerLandmarks(models_dir=models_dir, rate=LEARNT_RATE) as finder:
        yield finder


@pytest.fixture(scope="module")
def steps(learned: FindLandmarks, tmp_path_factory: pytest.TempPathFactory) -> Training:
    data = shared("clips/dance.annotations.json")
    dataset = load_dataset(
        data, ClipOptions(window=WindowSpec(500, 400), labels=tuple(LABELS), background=UNKNOWN), find=learned
    )
    models = ("logistic regression", "small MLP")  # the quickest of those that `train` compares
    return train(dataset, tmp_path_factory.mktemp("models") / "steps", data="dance", options=TrainOptions(models))


def test_what_was_learnt_from_the_dance_reproduces_its_spans(steps: Training, find: FindLandmarks) -> None:
    annotations = read_annotation_file(shared("clips/dance.annotations.json"))
    assert annotations is not None
    spans = consensus([span for span in annotations[0].spans if span.label in LABELS]).spans
    track = find(shared("clips/dance.webm"), 1)
    result = compare(timeline(TrainedModel.load(steps.out), track), spans)
    assert result.found == len(spans) == 6
    assert result.accuracy >= 0.6  # delays count as errors
    assert result.false_changes <= 1


def test_the_labels_agree_at_half_and_a_third_of_the_frame_rate(steps: Training) -> None:
    assert steps.steadiness[steps.best.name] >= 0.95


def test_the_committed_pose_classifier_sees_a_dancer_stand(find: FindLandmarks) -> None:
    from graph_server.resources import project_file
    from kserve_wire.openvino_core import new_core

    path = project_file("models/pose_classifier/1/pose_classifier.onnx")
    model = new_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    labels = project_file("models/pose_classifier/labels.txt").read_text().split("\n")
    track = find(shared("clips/dance.webm"), 1)
    standing = 0
    for points in track.landmarks:
        tensor = np.zeros((39, 5), np.float32)
        tensor[:33, :3] = points[:33]
        standing += labels[int(model(tensor.reshape(1, 195))[0].argmax())] == "standing"
    assert standing >= 0.95 * len(track.landmarks)
