"""What scikit-learn computes and what the exported ONNX computes on OpenVINO are the same."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from kserve_wire.openvino_core import new_core
from stream_client.training.augment import mirror
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import CANDIDATES, calm, fit
from stream_client.training.onnx_export import feature_model, no_person_model, pose_model
from stream_client.training.tables import torso_aligned

DIGEST = "0123456789abcdef" * 4


def dataset(classes: int, width: int = 12, count: int = 160) -> Dataset:
    rng = np.random.default_rng(classes)
    targets = np.arange(count) % classes
    rows = rng.normal(0, 1, (count, width)).astype(np.float32) * 50 + targets[:, None].astype(np.float32) * 40
    labels = tuple(f"class {index}" for index in range(classes))
    return Dataset(rows, targets, np.arange(count) // 4, labels, tuple(map(str, range(width))), "row")


def infer(model: onnx.ModelProto, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    core = new_core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    result: npt.NDArray[Any] = compiled(rows)[0]
    return result


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", list(CANDIDATES))
def test_an_exported_model_answers_as_the_fitted_one(name: str, classes: int) -> None:
    data = dataset(classes)
    with calm():
        estimator = fit(name, data, np.arange(100))
    model = feature_model(estimator, data.labels, 12, DIGEST)
    # Rows of the training set lie close to the trees' thresholds; others do not.
    rows = np.concatenate([data.rows, data.rows[::-1] * np.float32(1.01)])
    np.testing.assert_allclose(infer(model, rows), estimator.predict_proba(rows), atol=2e-5)


def test_the_input_is_named_after_the_schema() -> None:
    data = dataset(2)
    model = feature_model(fit("logistic regression", data, np.arange(100)), data.labels, 12, DIGEST)
    assert model.graph.input[0].name == "features_0123456789abcdef"
    assert {item.key: item.value for item in model.metadata_props} == {
        "labels": "class 0\nclass 1",
        "schema_hash": DIGEST,
    }


def _poses(count: int = 40) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(5)
    poses = rng.normal(128, 40, (count, 33, 3))
    poses[:, [11, 12], 1] -= 80
    return poses


def _tensor(pose: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """As the pose network gives it, with numbers in the columns that must not matter."""
    tensor = np.random.default_rng(6).normal(0, 9, (39, 5)).astype(np.float32)
    tensor[:33, :3] = pose
    return tensor.reshape(1, 195)


@pytest.fixture(scope="module")
def pose_classifier() -> tuple[Any, onnx.ModelProto]:
    poses = _poses()
    rows = torso_aligned(poses)
    targets = (np.arange(40) % 3).astype(np.intp)
    data = Dataset(rows, targets, np.arange(40), ("a", "b", "c"), tuple(map(str, range(99))), "row")
    with calm():
        estimator = fit("small MLP", data, np.arange(40))
    return estimator, pose_model(estimator, data.labels, DIGEST)


def test_the_graphs_model_normalises_as_training_does(pose_classifier: tuple[Any, onnx.ModelProto]) -> None:
    estimator, model = pose_classifier
    poses = _poses()
    for pose in poses:
        expected = estimator.predict_proba(torso_aligned(pose[None]))
        np.testing.assert_allclose(infer(model, _tensor(pose)), expected, atol=1e-3)


def test_place_size_and_rotation_do_not_change_the_scores(pose_classifier: tuple[Any, onnx.ModelProto]) -> None:
    _, model = pose_classifier
    pose = _poses()[0]
    expected = infer(model, _tensor(pose))
    angle = 1.1
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    for changed in (pose + np.array([40, -30, 12]), pose * 1.7, (pose - 128) @ turn + 128):
        np.testing.assert_allclose(infer(model, _tensor(changed)), expected, atol=1e-3)


def test_a_mirror_image_is_another_pose(pose_classifier: tuple[Any, onnx.ModelProto]) -> None:
    pose = _poses()[:1]
    assert not np.allclose(torso_aligned(mirror(pose)), torso_aligned(pose), atol=0.1)


def test_no_person_gives_as_many_zeros_as_there_are_labels() -> None:
    answer = infer(no_person_model(("a", "b", "c")), np.full((1, 8, 8, 3), 255, np.float32))
    assert answer.tolist() == [[0.0, 0.0, 0.0]]
