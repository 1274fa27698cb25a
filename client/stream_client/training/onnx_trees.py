"""Trees as tables, which OpenVINO can follow: it has no tree ensembles.

Gather follows all trees at once, one step for each level of the deepest tree.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from stream_client.training.onnx_builder import Builder


def forest(builder: Builder, source: str, estimator: Any, output: str, prefix: str = "") -> str:
    """The probabilities [rows, classes] of a random forest or of extra trees."""
    values = [tree.tree_.value[:, 0] for tree in estimator.estimators_]
    shares = [value / value.sum(axis=1, keepdims=True) for value in values]
    trees = [tree.tree_ for tree in estimator.estimators_]
    leaves = walk(builder, source, trees, np.concatenate(shares), prefix)
    builder.constant(f"{prefix}tree_axis", [1], np.int64)
    return builder.node("ReduceMean", [leaves, f"{prefix}tree_axis"], output, keepdims=0)


def walk(builder: Builder, source: str, trees: Sequence[Any], values: npt.NDArray[np.float64], prefix: str = "") -> str:
    """The values [rows, trees, classes] of the leaves that the rows reach. ``prefix`` is of all names."""
    offsets = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    feature, threshold, left, right = [], [], [], []
    for tree, offset in zip(trees, offsets, strict=True):
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count) + offset
        feature.append(np.where(leaf, 0, tree.feature))
        threshold.append(_float32_below(np.where(leaf, 0.0, tree.threshold)))
        left.append(np.where(leaf, own, tree.children_left + offset))
        right.append(np.where(leaf, own, tree.children_right + offset))
    builder.constant(f"{prefix}node_feature", np.concatenate(feature), np.int64)
    builder.constant(f"{prefix}node_threshold", np.concatenate(threshold))
    builder.constant(f"{prefix}node_left", np.concatenate(left), np.int64)
    builder.constant(f"{prefix}node_right", np.concatenate(right), np.int64)
    builder.constant(f"{prefix}node_value", values)
    builder.constant(f"{prefix}roots", offsets[None], np.int64)
    # One node index for each row and tree. It starts at the roots, repeated for each row.
    builder.constant(f"{prefix}first_feature", [0], np.int64)
    column = builder.node("Gather", [source, f"{prefix}first_feature"], f"{prefix}first_column", axis=1)
    builder.constant(f"{prefix}no_rows", 0)
    zeros = builder.node("Mul", [column, f"{prefix}no_rows"], f"{prefix}row_zeros_float")
    zeros = builder.node("Cast", [zeros], f"{prefix}row_zeros", to=TensorProto.INT64)
    at = builder.node("Add", [zeros, f"{prefix}roots"], f"{prefix}at0")
    for level in range(max(tree.max_depth for tree in trees)):
        split = builder.node("Gather", [f"{prefix}node_feature", at], f"{prefix}feature{level}")
        value = builder.node("GatherElements", [source, split], f"{prefix}value{level}", axis=1)
        bound = builder.node("Gather", [f"{prefix}node_threshold", at], f"{prefix}threshold{level}")
        goes_left = builder.node("LessOrEqual", [value, bound], f"{prefix}goes_left{level}")
        children = [
            builder.node("Gather", [f"{prefix}node_{side}", at], f"{prefix}{side}{level}") for side in ("left", "right")
        ]
        at = builder.node("Where", [goes_left, *children], f"{prefix}at{level + 1}")
    return builder.node("Gather", [f"{prefix}node_value", at], f"{prefix}leaf_values", axis=0)


def _float32_below(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round down to float32, so that ``x <= threshold`` holds for the same float32 ``x``."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)
