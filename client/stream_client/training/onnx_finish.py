"""The end of an exported model: calibrated probabilities, and what was never shown becomes unknown."""

from dataclasses import dataclass

import numpy as np

from stream_client.classify.decision import UNKNOWN
from stream_client.training.calibration import SMALLEST
from stream_client.training.guard import FARTHEST, SMALLEST_SQUARE, STEEPNESS, Guard
from stream_client.training.onnx_builder import Builder
from stream_client.training.onnx_trees import forest
from stream_client.training.views import COLUMNS, ENDS, STARTS, TINY, step_matrix


@dataclass(frozen=True, slots=True)
class Finish:
    """The ``temperature`` of the probabilities, and the guard against the unknown if the model has one."""

    temperature: float = 1.0
    guard: Guard | None = None

    def labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The labels of the finished model: with a guard, ``unknown`` is one of them."""
        return labels if self.guard is None or UNKNOWN in labels else (*labels, UNKNOWN)


PLAIN = Finish()
"""The probabilities as the classifier gives them."""


def finished(b: Builder, features: str, scores: str, labels: tuple[str, ...], finish: Finish) -> None:
    """Add the nodes from the classifier's ``scores`` to the model's."""
    output = "scores" if finish.guard is None else "calibrated_scores"
    if finish.temperature == 1.0:
        b.node("Identity", [scores], output)
    else:
        b.constant("smallest_score", SMALLEST)
        b.constant("inverse_temperature", 1 / finish.temperature)
        b.node("Max", [scores, "smallest_score"], "positive_scores")
        b.node("Log", ["positive_scores"], "score_logarithms")
        b.node("Mul", ["score_logarithms", "inverse_temperature"], "tempered_logits")
        b.node("Softmax", ["tempered_logits"], output, axis=1)
    if finish.guard is not None:
        _known(b, features, finish.guard)
        b.constant("certain", 1)
        b.node("Sub", ["certain", "known"], "not_known")
        if UNKNOWN in labels:
            b.constant("of_unknown", [[float(label == UNKNOWN) for label in labels]])
            b.node("Mul", [output, "known"], "known_scores")
            b.node("Mul", ["of_unknown", "not_known"], "unknown_scores")
            b.node("Add", ["known_scores", "unknown_scores"], "scores")
        else:
            b.node("Mul", [output, "known"], "known_scores")
            b.node("Concat", ["known_scores", "not_known"], "scores", axis=1)


def _known(b: Builder, features: str, guard: Guard) -> None:
    """``known`` [rows, 1], as :meth:`.Guard.known`."""
    view = _view(b, features, guard)
    b.constant("axis_one", [1], np.int64)
    forest(b, view, guard.forest, "shuffle_scores", "guard_")
    classes = len(guard.forest.classes_) - 1
    b.constant("real_classes", np.arange(classes), np.int64)
    b.node("Gather", ["shuffle_scores", "real_classes"], "real_scores", axis=1)
    b.node("ReduceMax", ["real_scores", "axis_one"], "real_score", keepdims=1)
    b.constant("guard_one", 1)
    b.node("Sub", ["guard_one", "real_score"], "unusual")

    scaler, pca = (step for _, step in guard.projection.steps)
    weights = pca.components_.T / scaler.scale_[:, None]
    b.constant("projection", weights)
    b.constant("projection_bias", -(scaler.mean_ @ weights) - pca.mean_ @ pca.components_.T)
    b.node("Gemm", [view, "projection", "projection_bias"], "guard_points")

    count, few = guard.means.shape
    # All labels at once: the columns of each label's whitening stand beside each other.
    whitening = np.zeros((guard.projection.steps[1][1].n_components_, count * few))
    whitening[:few] = np.concatenate(list(guard.whitenings), axis=1)
    b.constant("whitening", whitening)
    b.constant("whitening_bias", -np.concatenate([m @ w for m, w in zip(guard.means, guard.whitenings, strict=True)]))
    b.constant("class_shape", [-1, count, few], np.int64)
    b.constant("axis_two", [2], np.int64)
    b.node("Gemm", ["guard_points", "whitening", "whitening_bias"], "whitened")
    b.node("Mul", ["whitened", "whitened"], "whitened_squares")
    b.node("Reshape", ["whitened_squares", "class_shape"], "class_squares")
    b.node("ReduceSum", ["class_squares", "axis_two"], "class_distances", keepdims=0)
    _logarithm_of_least(b, "class_distances", "from_class")

    rows = np.asarray(guard.nearest._fit_X, dtype=np.float64)
    b.constant("row_points", -2 * rows.T)
    b.constant("row_squares", (rows**2).sum(axis=1))
    b.node("Gemm", ["guard_points", "row_points", "row_squares"], "row_products")
    b.node("Mul", ["guard_points", "guard_points"], "point_squares")
    b.node("ReduceSum", ["point_squares", "axis_one"], "point_square", keepdims=1)
    b.node("Add", ["row_products", "point_square"], "row_distances")
    _logarithm_of_least(b, "row_distances", "from_row")

    b.node("Concat", ["unusual", "from_class", "from_row"], "parts", axis=1)
    b.constant("medians", guard.medians)
    b.constant("spreads", guard.spreads)
    b.constant("nearest_part", 0)
    b.constant("farthest_part", FARTHEST)
    b.node("Sub", ["parts", "medians"], "parts_moved")
    b.node("Div", ["parts_moved", "spreads"], "parts_scaled")
    b.node("Clip", ["parts_scaled", "nearest_part", "farthest_part"], "parts_bounded")
    b.constant("part_weights", np.array(guard.weights)[:, None])
    b.node("MatMul", ["parts_bounded", "part_weights"], "parts_sum")
    b.constant("limit", guard.limit)
    b.constant("steepness", STEEPNESS)
    b.node("Sub", ["limit", "parts_sum"], "below_limit")
    b.node("Mul", ["below_limit", "steepness"], "known_logit")
    b.node("Sigmoid", ["known_logit"], "known")


def _logarithm_of_least(b: Builder, distances: str, output: str) -> None:
    b.constant(f"{output}_smallest", SMALLEST_SQUARE)
    b.node("ReduceMin", [distances, "axis_one"], f"{output}_least", keepdims=1)
    b.node("Max", [f"{output}_least", f"{output}_smallest"], f"{output}_positive")
    b.node("Log", [f"{output}_positive"], output)


def _view(b: Builder, features: str, guard: Guard) -> str:
    """As :func:`stream_client.training.views.seen`."""
    if guard.view == "rows":
        return features
    b.constant("tiny_length", TINY)
    if guard.view == "steps":
        b.constant("step_matrix", step_matrix(guard.width))
        b.constant("step_axis", [1], np.int64)
        b.node("MatMul", [features, "step_matrix"], "steps")
        size = _size(b, "steps", "step_axis", "step")
        b.node("Div", ["steps", size], "step_shape")
        b.node("Log", [size], "step_logarithm")
        return b.node("Concat", ["step_shape", "step_logarithm"], "view", axis=1)
    b.constant("limb_shape", [-1, 3, guard.width // 3], np.int64)
    b.constant("limb_starts", STARTS, np.int64)
    b.constant("limb_ends", ENDS, np.int64)
    b.constant("flat_axes", [0, 1], np.int64)
    b.node("Reshape", [features, "limb_shape"], "limb_points")
    b.node("Gather", ["limb_points", "limb_starts"], "limb_start", axis=2)
    b.node("Gather", ["limb_points", "limb_ends"], "limb_end", axis=2)
    b.node("Sub", ["limb_end", "limb_start"], "limbs3")
    b.node("Gather", ["limbs3", "flat_axes"], "limbs2", axis=1)
    cosines = [_cosines(b, f"limbs{axes}") for axes in (3, 2)]
    return b.node("Concat", cosines, "view", axis=1)


def _cosines(b: Builder, limbs: str) -> str:
    count = len(STARTS)
    b.constant(f"{limbs}_axis", [1], np.int64)
    b.constant(f"{limbs}_shape", [-1, count * count], np.int64)
    b.constant(f"{limbs}_columns", COLUMNS, np.int64)
    b.node("Div", [limbs, _size(b, limbs, f"{limbs}_axis", limbs)], f"{limbs}_directions")
    b.node("Transpose", [f"{limbs}_directions"], f"{limbs}_turned", perm=[0, 2, 1])
    b.node("MatMul", [f"{limbs}_turned", f"{limbs}_directions"], f"{limbs}_products")
    b.node("Reshape", [f"{limbs}_products", f"{limbs}_shape"], f"{limbs}_flat")
    return b.node("Gather", [f"{limbs}_flat", f"{limbs}_columns"], f"{limbs}_cosines", axis=1)


def _size(b: Builder, vectors: str, axis: str, name: str) -> str:
    b.node("Mul", [vectors, vectors], f"{name}_squares")
    b.node("ReduceSum", [f"{name}_squares", axis], f"{name}_square", keepdims=1)
    b.node("Sqrt", [f"{name}_square"], f"{name}_length")
    return b.node("Add", [f"{name}_length", "tiny_length"], f"{name}_size")
