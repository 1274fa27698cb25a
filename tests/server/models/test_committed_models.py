"""The models that are committed with the graphs which use them."""

import numpy as np
import pytest

from graph_server.resources import project_file
from kserve_wire.openvino_core import new_core

LABELS = project_file("models/pose_classifier/labels.txt").read_text().split("\n")[:-1]


@pytest.mark.parametrize(
    ("name", "source", "shape"),
    [("pose_classifier", "pose_landmarks", [1, 195]), ("no_person_scores", "tick", [1, 8, 8, 3])],
)
def test_a_committed_model_has_the_names_and_shapes_that_the_graph_expects(
    name: str, source: str, shape: list[int]
) -> None:
    path = project_file(f"models/{name}/1/{name}.onnx")
    assert path.stat().st_size < 100_000
    model = new_core().read_model(str(path))
    (given,), (answer,) = model.inputs, model.outputs
    assert (given.any_name, answer.any_name) == (source, "scores")
    assert list(given.shape) == shape
    assert list(answer.shape) == [1, len(LABELS)]


def test_movenet_takes_an_image_and_gives_six_persons() -> None:
    model = new_core().read_model(str(project_file("models/movenet_multipose/1/movenet_multipose.xml")))
    (given,), (answer,) = model.inputs, model.outputs
    assert (given.any_name, list(given.shape)) == ("image", [1, 256, 256, 3])
    assert (answer.any_name, list(answer.shape)) == ("poses", [1, 6, 56])


def test_the_labels_are_the_four_postures() -> None:
    assert LABELS == ["standing", "squatting", "plank", "push-up bottom"]


@pytest.mark.parametrize("fill", [0.0, 1.0, -3.5, 255.0])
def test_no_person_is_all_zeros_whatever_the_picture(fill: float) -> None:
    path = project_file("models/no_person_scores/1/no_person_scores.onnx")
    model = new_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert not model(np.full((1, 8, 8, 3), fill, np.float32))[0].any()


def test_a_pose_of_zeros_gives_finite_probabilities() -> None:
    path = project_file("models/pose_classifier/1/pose_classifier.onnx")
    model = new_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    scores = model(np.zeros((1, 195), np.float32))[0]
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1, abs=1e-4)
