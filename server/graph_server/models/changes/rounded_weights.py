"""Rounds a network's weights to bfloat16 before OpenVINO does, so that the errors of a channel cancel.

OpenVINO rounds each weight for itself. Inputs behind an activation are never negative, so the errors of a channel do
not cancel in its sum, and hands came out less present than they are. Here each weight is rounded together with the
error of the one before it (error diffusion, as in dithering). The sum of a channel's weights then changes by one
rounding.
"""

import numpy as np
import numpy.typing as npt
import openvino as ov

from graph_server.models.changes.constants import Array, is_constant, put_constant, value_of

Floats = npt.NDArray[np.float32]

_WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")


def with_rounded_weights(model: ov.Model) -> ov.Model:
    """Change ``model``, of floats, so that bfloat16 represents all its weights. Returns it."""
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind in _WEIGHTED and is_constant(node.input_value(1)):
            weights = value_of(node.input_value(1))
            if kind == "MatMul" and not node.get_attributes()["transpose_b"]:
                rounded = diffused(weights.T, 1).T
            else:
                rounded = diffused(weights, 2 if kind == "GroupConvolution" else 1)
            put_constant(node.input(1), rounded)
    return model


def diffused(weights: Array, channels: int) -> Floats:
    """The weights as bfloat16 represents them, float32 of the same shape; the first ``channels`` axes tell channels.

    Each of a channel's weights is rounded together with the error of the one before.
    """
    rows = np.asarray(weights, np.float32).reshape(int(np.prod(weights.shape[:channels])), -1)
    columns = np.ascontiguousarray(rows.T)  # the first weight of every channel, then the second …
    error = np.zeros(len(rows), np.float32)
    bits = error.view(np.uint32)
    rounded = np.empty_like(bits)
    for column in columns:
        error += column
        # To the nearest value whose lower 16 bits are zero, ties to even.
        np.right_shift(bits, 16, out=rounded)
        rounded &= 1
        rounded += 0x7FFF
        rounded += bits
        rounded &= 0xFFFF0000
        column[:] = rounded.view(np.float32)
        error -= column
    return np.ascontiguousarray(columns.T).reshape(weights.shape)
