"""Exports fitted scikit-learn models to ONNX, with operators that OpenVINO supports.

The result equals scikit-learn's within float32 precision.
"""

from typing import Any

import numpy as np
import onnx
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline

from stream_client.classify.joints import JOINT
from stream_client.classify.models import HASH_DIGITS, INPUT_PREFIX
from stream_client.classify.raw_pose import POSE_INPUT, POSE_TENSOR
from stream_client.errors import ConfigurationError
from stream_client.training.onnx_builder import Builder
from stream_client.training.onnx_finish import PLAIN, Finish, finished
from stream_client.training.onnx_trees import forest, walk


def feature_model(
    estimator: Any, labels: tuple[str, ...], width: int, digest: str, finish: Finish = PLAIN
) -> onnx.ModelProto:
    """A model of rows: ``features_HASH`` FP32 [rows, width] to ``scores`` FP32 [rows, labels]."""
    builder = Builder()
    source = INPUT_PREFIX + digest[:HASH_DIGITS]
    _classifier(builder, estimator, source, "classifier_scores")
    finished(builder, source, "classifier_scores", labels, finish)
    return builder.model("classifier", (source, ["rows", width]), finish.labels(labels), "rows", digest)


def pose_model(estimator: Any, labels: tuple[str, ...], digest: str, finish: Finish = PLAIN) -> onnx.ModelProto:
    """A model for the graph: ``pose_landmarks`` FP32 [1, 195] to ``scores`` FP32 [1, labels].

    The body points are moved to the middle of the hips, turned so that the torso points up and divided by its
    length, as :func:`stream_client.training.tables.torso_aligned` does.
    """
    b = Builder()
    b.constant("table_shape", [1, POSE_TENSOR // 5, 5], np.int64)
    for name, value in (("zero", 0), ("one", 1), ("two", 2), ("three", 3), ("body", 33)):
        b.constant(name, [value], np.int64)
    b.constant("hip_index", [JOINT["left_hip"], JOINT["right_hip"]], np.int64)
    b.constant("shoulder_index", [JOINT["left_shoulder"], JOINT["right_shoulder"]], np.int64)
    b.constant("tiny", 1e-6)
    # (x, y) times this matrix is (y, -x): across = moved · turned(up)
    b.constant("quarter_turn", [[0, -1], [1, 0]])
    b.node("Reshape", [POSE_INPUT, "table_shape"], "table")
    b.node("Slice", ["table", "zero", "body", "one"], "rows")
    b.node("Slice", ["rows", "zero", "three", "two"], "points")
    for part in ("hip", "shoulder"):
        b.node("Gather", ["points", f"{part}_index"], f"{part}_points", axis=1)
        b.node("ReduceMean", [f"{part}_points", "one"], f"{part}_middle", keepdims=1)
    b.node("Sub", ["shoulder_middle", "hip_middle"], "torso3")
    b.node("Slice", ["torso3", "zero", "two", "two"], "torso")
    b.node("Mul", ["torso", "torso"], "torso_squared")
    b.node("ReduceSum", ["torso_squared", "two"], "length_squared", keepdims=1)
    b.node("Sqrt", ["length_squared"], "length_or_zero")
    b.node("Add", ["length_or_zero", "tiny"], "length")
    b.node("Div", ["torso", "length"], "up")
    b.node("Sub", ["points", "hip_middle"], "moved")
    b.node("Slice", ["moved", "zero", "two", "two"], "moved2")
    b.node("Slice", ["moved", "two", "three", "two"], "depth")
    b.node("Mul", ["moved2", "up"], "along2")
    b.node("ReduceSum", ["along2", "two"], "along", keepdims=1)
    b.node("MatMul", ["up", "quarter_turn"], "sideways")
    b.node("Mul", ["moved2", "sideways"], "across2")
    b.node("ReduceSum", ["across2", "two"], "across", keepdims=1)
    b.node("Concat", ["along", "across", "depth"], "joined", axis=1)
    b.node("Div", ["joined", "length"], "scaled")
    b.node("Flatten", ["scaled"], "features", axis=1)
    _classifier(b, estimator, "features", "classifier_scores")
    finished(b, "features", "classifier_scores", labels, finish)
    return b.model("pose_classifier", (POSE_INPUT, [1, POSE_TENSOR]), finish.labels(labels), 1, digest)


def no_person_model(labels: tuple[str, ...]) -> onnx.ModelProto:
    """``tick`` FP32 [1, 8, 8, 3] to ``scores``, all zero: the answer for a frame without a person."""
    b = Builder()
    b.constant("axes", [1, 2, 3], np.int64)
    b.constant("axis", [1], np.int64)
    b.constant("nothing", 0)
    b.constant("zeros", np.zeros((1, len(labels))))
    b.node("ReduceMax", ["tick", "axes"], "largest", keepdims=0)
    b.node("Mul", ["largest", "nothing"], "none")
    b.node("Unsqueeze", ["none", "axis"], "column")
    b.node("Add", ["column", "zeros"], "scores")
    return b.model("no_person_scores", ("tick", [1, 8, 8, 3]), labels, 1, "")


def _classifier(builder: Builder, estimator: Any, source: str, output: str) -> None:
    scaler = None
    if isinstance(estimator, Pipeline):
        scaler, estimator = (step for _, step in estimator.steps)
    if isinstance(estimator, LogisticRegression):
        _layers(builder, source, scaler, [(estimator.coef_.T, estimator.intercept_)], output)
    elif isinstance(estimator, MLPClassifier):
        layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
        _layers(builder, source, scaler, layers, output)
    elif isinstance(estimator, RandomForestClassifier | ExtraTreesClassifier):
        forest(builder, source, estimator, output)
    elif isinstance(estimator, GradientBoostingClassifier):
        _boosting(builder, source, estimator, output)
    else:
        raise ConfigurationError(f"{type(estimator).__name__} cannot be exported to ONNX")


def _layers(builder: Builder, source: str, scaler: Any, layers: list[tuple[Any, Any]], output: str) -> None:
    """Affine layers with ReLU between them; the first one includes the standardisation, which is affine too."""
    weights, bias = layers[0]
    if scaler is not None:
        weights = weights / scaler.scale_[:, None]
        bias = bias - scaler.mean_ @ weights
    for index, (w, b) in enumerate([(weights, bias), *layers[1:]]):
        inputs = [source, builder.constant(f"weights{index}", w), builder.constant(f"bias{index}", b)]
        source = builder.node("Gemm", inputs, f"layer{index}")
        if index < len(layers) - 1:
            source = builder.node("Relu", [source], f"hidden{index}")
    _probabilities(builder, source, output, classes=len(layers[-1][1]))


def _probabilities(builder: Builder, logits: str, output: str, *, classes: int) -> None:
    """Softmax. A single logit belongs to the second of two classes. The first class then has logit zero."""
    if classes == 1:
        builder.constant("of_first", 0)
        logits = builder.node(
            "Concat", [builder.node("Mul", [logits, "of_first"], "first_logit"), logits], "both_logits", axis=1
        )
    builder.node("Softmax", [logits], output, axis=1)


def _boosting(builder: Builder, source: str, estimator: Any, output: str) -> None:
    """Each tree adds to the logit of one class. Its leaves are zero for the other classes."""
    stages, classes = estimator.estimators_.shape
    trees, values = [], []
    for stage in range(stages):
        for index in range(classes):
            tree = estimator.estimators_[stage, index].tree_
            value = np.zeros((tree.node_count, classes))
            value[:, index] = tree.value[:, 0, 0] * estimator.learning_rate
            trees.append(tree)
            values.append(value)
    leaves = walk(builder, source, trees, np.concatenate(values))
    builder.constant("tree_axis", [1], np.int64)
    builder.node("ReduceSum", [leaves, "tree_axis"], "logits", keepdims=0)
    _probabilities(builder, "logits", output, classes=classes)
