"""The constants of a network: those of its file, and what is computed from nothing else."""

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as ops

Array = npt.NDArray[Any]


def is_constant(output: ov.Output) -> bool:
    """Whether it is the same whatever the network's inputs are."""
    node = output.get_node()
    if node.get_type_name() == "Constant":
        return True
    inputs = node.input_values()
    return bool(inputs) and all(is_constant(each) for each in inputs)


def value_of(output: ov.Output) -> Array:
    """The value of what :func:`is_constant`. Raises :class:`RuntimeError` where OpenVINO cannot compute it."""
    node = output.get_node()
    if node.get_type_name() == "Constant":
        return np.array(node.data)
    inputs = [ov.Tensor(value_of(each), shared_memory=False) for each in node.input_values()]
    result = ov.Tensor(output.get_element_type(), output.get_shape())
    if not node.evaluate([result], inputs):
        raise RuntimeError(f"{node.get_friendly_name()} cannot be computed")
    return np.array(result.data)


def put_constant(port: ov.Input, value: Array) -> None:
    """Let ``port`` read ``value`` from now on."""
    port.replace_source_output(ops.constant(np.ascontiguousarray(value)).output(0))
