"""Train the first pose classifier and write it as ONNX, normalisation included.

    python tools/train_pose_classifier.py ../shared/data/fitness_pose_samples.csv models

The model takes the raw landmark tensor of the pose network, [1, 195], so a graph needs no node of ours.
Inside it the 33 body points are moved to the middle of the hips, turned so that the torso points up and divided by
the torso's length: place, size and rotation in the picture do not matter. A small multi-layer perceptron
follows. Accuracy is cross-validated by source video: no video is in both halves.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Array = npt.NDArray[np.float64]

LABELS = {
    "squats_up": "standing",
    "squats_down": "squatting",
    "pushups_up": "plank",
    "pushups_down": "push-up bottom",
}
# Left and right of the 33 BlazePose landmarks exchanged.
MIRROR = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9] + [i + 1 if i % 2 else i - 1 for i in range(11, 33)]
HIPS, SHOULDERS = (23, 24), (11, 12)
HIDDEN = 48


def read(path: Path) -> tuple[Array, npt.NDArray[np.int_], list[str]]:
    """Landmarks [n, 33, 3], classes and source videos."""
    names = list(LABELS)
    points, classes, videos = [], [], []
    with path.open(newline="") as file:
        for row in csv.reader(file):
            if len(row) != 101:
                continue
            points.append(np.array(row[2:], dtype=np.float64).reshape(33, 3))
            classes.append(names.index(row[1]))
            # A picture that is not a video's frame is a source of its own.
            videos.append(row[0].removeprefix("frame__").rpartition("__")[0] or row[0])
    return np.array(points), np.array(classes), videos


def normalise(points: Array) -> Array:
    """[n, 33, 3] to [n, 99]: along the torso, across it, depth; the ONNX model computes the same."""
    hips = points[:, HIPS].mean(axis=1, keepdims=True)
    torso = (points[:, SHOULDERS].mean(axis=1, keepdims=True) - hips)[..., :2]
    length = np.sqrt((torso**2).sum(axis=-1, keepdims=True)) + 1e-6
    up = torso / length
    moved = points - hips
    along = (moved[..., :2] * up).sum(axis=-1)
    across = moved[..., 0] * up[..., 1] - moved[..., 1] * up[..., 0]
    return np.concatenate([along, across, moved[..., 2]], axis=1) / length[:, 0]


def augmented(points: Array, classes: npt.NDArray[np.int_]) -> tuple[Array, npt.NDArray[np.int_]]:
    """Each sample, its mirror image, and both with jitter of 2 % of the torso."""
    mirrored = points[:, MIRROR] * np.array([-1.0, 1.0, 1.0])
    both = np.concatenate([points, mirrored])
    scale = np.linalg.norm(both[:, SHOULDERS].mean(axis=1) - both[:, HIPS].mean(axis=1), axis=1)
    noise = np.random.default_rng(0).normal(0.0, 0.02, both.shape) * scale[:, None, None]
    return np.concatenate([both, both + noise]), np.concatenate([classes] * 4)


def fit(points: Array, classes: npt.NDArray[np.int_]) -> Pipeline:
    """A perceptron with one hidden layer, behind standardisation."""
    samples, targets = augmented(points, classes)
    network = MLPClassifier((HIDDEN,), alpha=0.1, max_iter=150, random_state=0)
    return make_pipeline(StandardScaler(), network).fit(normalise(samples), targets)


def cross_validate(points: Array, classes: npt.NDArray[np.int_], folds: list[tuple[Array, Array]]) -> Array:
    """The confusion matrix over all folds: rows are true classes."""
    matrix = np.zeros((len(LABELS), len(LABELS)), int)
    for train, test in folds:
        predicted = fit(points[train], classes[train]).predict(normalise(points[test]))
        np.add.at(matrix, (classes[test], predicted), 1)
    return matrix


def to_onnx(model: Pipeline) -> onnx.ModelProto:
    """The perceptron behind the normalisation, in standard operators."""
    scaler, network = (step for _, step in model.steps)
    # Standardisation is affine: it goes into the first layer.
    first_weights = network.coefs_[0] / scaler.scale_[:, None]
    first_bias = network.intercepts_[0] - scaler.mean_ @ first_weights
    constants = {
        "shape": np.array([1, 39, 5], np.int64),
        "first": np.array([0], np.int64),
        "body_end": np.array([33], np.int64),
        "axis1": np.array([1], np.int64),
        "z_start": np.array([2], np.int64),
        "z_end": np.array([3], np.int64),
        "hip_index": np.array(HIPS, np.int64),
        "shoulder_index": np.array(SHOULDERS, np.int64),
        "axis2": np.array([2], np.int64),
        "tiny": np.array(1e-6, np.float32),
        # (x, y) · turn = (-y, x): across = moved · turn(up)
        "turn": np.array([[0, 1], [-1, 0]], np.float32),
        "w1": first_weights.astype(np.float32),
        "b1": first_bias.astype(np.float32),
        "w2": network.coefs_[1].astype(np.float32),
        "b2": network.intercepts_[1].astype(np.float32),
    }
    n = helper.make_node
    nodes = [
        n("Reshape", ["pose_landmarks", "shape"], ["table"]),
        n("Slice", ["table", "first", "body_end", "axis1"], ["body"]),
        n("Slice", ["body", "first", "z_end", "axis2"], ["points"]),
        n("Gather", ["points", "hip_index"], ["hip_points"], axis=1),
        n("Gather", ["points", "shoulder_index"], ["shoulder_points"], axis=1),
        n("ReduceMean", ["hip_points", "axis1"], ["hips"], keepdims=1),
        n("ReduceMean", ["shoulder_points", "axis1"], ["shoulders"], keepdims=1),
        n("Sub", ["shoulders", "hips"], ["torso3"]),
        n("Slice", ["torso3", "first", "z_start", "axis2"], ["torso"]),
        n("Mul", ["torso", "torso"], ["torso_squared"]),
        n("ReduceSum", ["torso_squared", "axis2"], ["length_squared"], keepdims=1),
        n("Sqrt", ["length_squared"], ["length0"]),
        n("Add", ["length0", "tiny"], ["length"]),
        n("Div", ["torso", "length"], ["up"]),
        n("Sub", ["points", "hips"], ["moved"]),
        n("Slice", ["moved", "first", "z_start", "axis2"], ["moved2"]),
        n("Slice", ["moved", "z_start", "z_end", "axis2"], ["depth"]),
        n("Mul", ["moved2", "up"], ["along2"]),
        n("ReduceSum", ["along2", "axis2"], ["along"], keepdims=1),
        n("MatMul", ["up", "turn"], ["turned"]),
        n("Mul", ["moved2", "turned"], ["across2"]),
        n("ReduceSum", ["across2", "axis2"], ["across_negative"], keepdims=1),
        n("Neg", ["across_negative"], ["across"]),
        n("Concat", ["along", "across", "depth"], ["joined"], axis=1),
        n("Div", ["joined", "length"], ["scaled"]),
        n("Flatten", ["scaled"], ["features"], axis=1),
        n("Gemm", ["features", "w1", "b1"], ["hidden0"]),
        n("Relu", ["hidden0"], ["hidden"]),
        n("Gemm", ["hidden", "w2", "b2"], ["logits"]),
        n("Softmax", ["logits"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "pose_classifier",
        [helper.make_tensor_value_info("pose_landmarks", TensorProto.FLOAT, [1, 195])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(LABELS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def zero_scores() -> onnx.ModelProto:
    """The model that answers zeros for every frame, so that a frame without a person has scores too."""
    count = len(LABELS)
    nodes = [
        helper.make_node("ReduceMax", ["tick", "axes"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "axis"], ["column"]),
        helper.make_node("Add", ["column", "zeros"], ["scores"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3], np.int64),
        "axis": np.array([1], np.int64),
        "zero": np.array(0, np.float32),
        "zeros": np.zeros((1, count), np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "no_person_scores",
        [helper.make_tensor_value_info("tick", TensorProto.FLOAT, [1, 8, 8, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, count])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def main() -> None:
    """Cross-validate, train on everything, write the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, help="the CSV with 33 landmarks a row")
    parser.add_argument("models", type=Path, help="the model repository to write to")
    options = parser.parse_args()
    points, classes, videos = read(options.samples)
    print(f"{len(points)} samples of {len(set(videos))} videos")
    groups = np.unique(videos, return_inverse=True)[1]
    for name, folds in (
        ("by source video", list(GroupKFold(5).split(points, classes, groups))),
        (
            "by row, which flatters",
            list(StratifiedKFold(5, shuffle=True, random_state=0).split(points, classes)),
        ),
    ):
        matrix = cross_validate(points, classes, folds)
        print(f"5 folds {name}: accuracy {np.trace(matrix) / matrix.sum():.4f}")
        print(matrix)
    model = fit(points, classes)
    for name, made in (("pose_classifier", to_onnx(model)), ("no_person_scores", zero_scores())):
        target = options.models / name / "1" / f"{name}.onnx"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(made.SerializeToString())
        print(f"{target}: {target.stat().st_size} bytes")
    (options.models / "pose_classifier" / "labels.txt").write_text("\n".join(LABELS.values()) + "\n")


if __name__ == "__main__":
    sys.exit(main())
