"""Exports fitted scikit-learn models to ONNX, with operators that OpenVINO supports.

OpenVINO has no tree ensembles. So trees become tables, and Gather follows all trees at once, one step for each level
of the deepest tree. The result equals scikit-learn's within float32 precision.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline

from stream_client.classify.joints import JOINT
from stream_client.classify.models import HASH_DIGITS, INPUT_PREFIX
from stream_client.classify.raw_pose import POSE_INPUT, POSE_TENSOR
from stream_client.errors import ConfigurationError

_OPSET, _IR_VERSION = 18, 8


@dataclass(slots=True)
class _Builder:
    """Collects the nodes and constants of an ONNX graph."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: npt.ArrayLike, kind: type[np.generic] = np.float32) -> str:
        self.constants[name] = np.asarray(value, dtype=kind)
        return name

    def model(
        self, name: str, source: tuple[str, list[Any]], labels: tuple[str, ...], rows: Any, digest: str
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(source[0], TensorProto.FLOAT, source[1])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, len(labels)])],
            [numpy_helper.from_array(value, key) for key, value in self.constants.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        helper.set_model_props(made, {"labels": "\n".join(labels), "schema_hash": digest})
        onnx.checker.check_model(made)
        return made


def feature_model(estimator: Any, labels: tuple[str, ...], width: int, digest: str) -> onnx.ModelProto:
    """A model of rows: ``features_HASH`` FP32 [rows, width] to ``scores`` FP32 [rows, labels]."""
    builder = _Builder()
    source = INPUT_PREFIX + digest[:HASH_DIGITS]
    _classifier(builder, estimator, source)
    return builder.model("classifier", (source, ["rows", width]), labels, "rows", digest)


def pose_model(estimator: Any, labels: tuple[str, ...], digest: str) -> onnx.ModelProto:
    """A model for the graph: ``pose_landmarks`` FP32 [1, 195] to ``scores`` FP32 [1, labels].

    The body points are moved to the middle of the hips, turned so that the torso points up and divided by its
    length, as :func:`stream_client.training.tables.torso_aligned` does.
    """
    b = _Builder()
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
    _classifier(b, estimator, "features")
    return b.model("pose_classifier", (POSE_INPUT, [1, POSE_TENSOR]), labels, 1, digest)


def no_person_model(labels: tuple[str, ...]) -> onnx.ModelProto:
    """``tick`` FP32 [1, 8, 8, 3] to ``scores``, all zero: the answer for a frame without a person."""
    b = _Builder()
    b.constant("axes", [1, 2, 3], np.int64)
    b.constant("axis", [1], np.int64)
    b.constant("nothing", 0)
    b.constant("zeros", np.zeros((1, len(labels))))
    b.node("ReduceMax", ["tick", "axes"], "largest", keepdims=0)
    b.node("Mul", ["largest", "nothing"], "none")
    b.node("Unsqueeze", ["none", "axis"], "column")
    b.node("Add", ["column", "zeros"], "scores")
    return b.model("no_person_scores", ("tick", [1, 8, 8, 3]), labels, 1, "")


def _classifier(builder: _Builder, estimator: Any, source: str) -> None:
    scaler = None
    if isinstance(estimator, Pipeline):
        scaler, estimator = (step for _, step in estimator.steps)
    if isinstance(estimator, LogisticRegression):
        _layers(builder, source, scaler, [(estimator.coef_.T, estimator.intercept_)])
    elif isinstance(estimator, MLPClassifier):
        layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
        _layers(builder, source, scaler, layers)
    elif isinstance(estimator, RandomForestClassifier | ExtraTreesClassifier):
        _forest(builder, source, estimator)
    elif isinstance(estimator, GradientBoostingClassifier):
        _boosting(builder, source, estimator)
    else:
        raise ConfigurationError(f"{type(estimator).__name__} cannot be exported to ONNX")


def _layers(builder: _Builder, source: str, scaler: Any, layers: list[tuple[Any, Any]]) -> None:
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
    _probabilities(builder, source, classes=len(layers[-1][1]))


def _probabilities(builder: _Builder, logits: str, *, classes: int) -> None:
    """Softmax. A single logit belongs to the second of two classes. The first class then has logit zero."""
    if classes == 1:
        builder.constant("of_first", 0)
        logits = builder.node(
            "Concat", [builder.node("Mul", [logits, "of_first"], "first_logit"), logits], "both_logits", axis=1
        )
    builder.node("Softmax", [logits], "scores", axis=1)


def _forest(builder: _Builder, source: str, estimator: Any) -> None:
    values = [tree.tree_.value[:, 0] for tree in estimator.estimators_]
    shares = [value / value.sum(axis=1, keepdims=True) for value in values]
    leaves = _walk(builder, source, [tree.tree_ for tree in estimator.estimators_], np.concatenate(shares))
    builder.constant("tree_axis", [1], np.int64)
    builder.node("ReduceMean", [leaves, "tree_axis"], "scores", keepdims=0)


def _boosting(builder: _Builder, source: str, estimator: Any) -> None:
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
    leaves = _walk(builder, source, trees, np.concatenate(values))
    builder.constant("tree_axis", [1], np.int64)
    builder.node("ReduceSum", [leaves, "tree_axis"], "logits", keepdims=0)
    _probabilities(builder, "logits", classes=classes)


def _walk(builder: _Builder, source: str, trees: list[Any], values: npt.NDArray[np.float64]) -> str:
    """The values [rows, trees, classes] of the leaves that the rows reach."""
    offsets = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    feature, threshold, left, right = [], [], [], []
    for tree, offset in zip(trees, offsets, strict=True):
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count) + offset
        feature.append(np.where(leaf, 0, tree.feature))
        threshold.append(_float32_below(np.where(leaf, 0.0, tree.threshold)))
        left.append(np.where(leaf, own, tree.children_left + offset))
        right.append(np.where(leaf, own, tree.children_right + offset))
    builder.constant("node_feature", np.concatenate(feature), np.int64)
    builder.constant("node_threshold", np.concatenate(threshold))
    builder.constant("node_left", np.concatenate(left), np.int64)
    builder.constant("node_right", np.concatenate(right), np.int64)
    builder.constant("node_value", values)
    builder.constant("roots", offsets[None], np.int64)
    # One node index for each row and tree. It starts at the roots, repeated for each row.
    builder.constant("first_feature", [0], np.int64)
    column = builder.node("Gather", [source, "first_feature"], "first_column", axis=1)
    builder.constant("no_rows", 0)
    zeros = builder.node("Mul", [column, "no_rows"], "row_zeros_float")
    zeros = builder.node("Cast", [zeros], "row_zeros", to=TensorProto.INT64)
    at = builder.node("Add", [zeros, "roots"], "at0")
    for level in range(max(tree.max_depth for tree in trees)):
        split = builder.node("Gather", ["node_feature", at], f"feature{level}")
        value = builder.node("GatherElements", [source, split], f"value{level}", axis=1)
        bound = builder.node("Gather", ["node_threshold", at], f"threshold{level}")
        goes_left = builder.node("LessOrEqual", [value, bound], f"goes_left{level}")
        children = [builder.node("Gather", [f"node_{side}", at], f"{side}{level}") for side in ("left", "right")]
        at = builder.node("Where", [goes_left, *children], f"at{level + 1}")
    return builder.node("Gather", ["node_value", at], "leaf_values", axis=0)


def _float32_below(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round down to float32, so that ``x <= threshold`` holds for the same float32 ``x``."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)
