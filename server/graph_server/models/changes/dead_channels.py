"""Leaves out channels whose weights are all zero, as networks have them that were pruned in training.

Without weights a channel of a depthwise convolution is a constant, whatever the image: its bias. So the convolution
before need not compute it, and the one behind takes the constant into its own bias.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from graph_server.models.changes.constants import Array, is_constant, put_constant, value_of

_BLOCK = 16  # kernels compute so many channels at once: some of the dead fill up the last block
_ACTIVATIONS = ("Clamp", "Relu")


def without_dead_channels(model: ov.Model) -> ov.Model:
    """Change ``model`` so that it computes the same with fewer channels. Returns it."""
    changed = False
    for node in model.get_ordered_ops():
        place = _placed(node) if node.get_type_name() == "GroupConvolution" else None
        if place is not None:
            changed |= _shrink(place)
    if changed:
        model.validate_nodes_and_infer_types()
    return model


@dataclass(frozen=True, slots=True)
class _Biased:
    """A convolution and the addition of its bias."""

    convolution: ov.Node
    bias: ov.Input
    last: ov.Node
    """The activation, or the addition where there is none."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Convolution, depthwise convolution, and what takes the result: a convolution of 1x1, or the mean of a channel."""

    before: _Biased
    depthwise: _Biased
    behind: _Biased | ov.Node


def _placed(depthwise: ov.Node) -> _Place | None:
    """The place of a depthwise convolution, ``None`` where it looks otherwise."""
    middle = _biased(depthwise)
    before = _biased_before(depthwise.input_value(0).get_node())
    behind = None if middle is None else _only_reader(middle.last)
    if middle is None or before is None or behind is None or list(depthwise.input_value(1).get_shape())[1:3] != [1, 1]:
        return None
    if behind.get_type_name() == "ReduceMean" and sorted(value_of(behind.input_value(1)).tolist()) == [2, 3]:
        return _Place(before, middle, behind)
    found = _biased(behind) if behind.get_type_name() == "Convolution" else None
    if found is None or list(behind.input_value(1).get_shape())[2:] != [1, 1]:
        return None
    return _Place(before, middle, found)


def _biased(convolution: ov.Node) -> _Biased | None:
    addition = _only_reader(convolution)
    if addition is None or addition.get_type_name() != "Add":
        return None
    constant = [port for port in addition.inputs() if port.get_source_output().get_node() != convolution]
    if len(constant) != 1 or not is_constant(constant[0].get_source_output()):
        return None
    if list(constant[0].get_shape()) != [1, convolution.get_output_shape(0)[1], 1, 1]:
        return None
    reader = _only_reader(addition)
    active = reader is not None and reader.get_type_name() in _ACTIVATIONS
    return _Biased(convolution, constant[0], reader if reader is not None and active else addition)


def _biased_before(last: ov.Node) -> _Biased | None:
    """The convolution whose result ``last`` is."""
    node = last
    while node.get_type_name() in (*_ACTIVATIONS, "Add"):
        node = node.input_value(0).get_node()
    found = _biased(node) if node.get_type_name() == "Convolution" else None
    return found if found is not None and found.last == last and _only_reader(last) is not None else None


def _only_reader(node: ov.Node) -> ov.Node | None:
    readers = [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]
    return readers[0] if len(readers) == 1 else None


def _shrink(place: _Place) -> bool:
    weights = value_of(place.depthwise.convolution.input_value(1))
    alive: Array = np.abs(weights).max(axis=(1, 2, 3, 4)) > 0
    count = -(-int(alive.sum()) // _BLOCK) * _BLOCK
    if not 0 < count < alive.size:
        return False
    order = np.argsort(~alive, kind="stable")
    kept, left = np.sort(order[:count]), np.sort(order[count:])
    bias = value_of(place.depthwise.bias.get_source_output())
    constants = _activated(place.depthwise, bias[0, left, 0, 0])
    _take(place.before, kept)
    put_constant(place.depthwise.convolution.input(1), weights[kept])
    put_constant(place.depthwise.bias, bias[:, kept])
    if isinstance(place.behind, _Biased):
        port = place.behind.convolution.input(1)
        projection = value_of(port.get_source_output())
        put_constant(port, projection[:, kept])
        added = projection[:, left, 0, 0] @ constants
        put_constant(place.behind.bias, value_of(place.behind.bias.get_source_output()) + added[None, :, None, None])
    else:
        _put_back(place.behind, kept, left, constants)
    return True


def _activated(biased: _Biased, values: Array) -> Array:
    kind = biased.last.get_type_name()
    if kind == "Clamp":
        limits = biased.last.get_attributes()
        return np.clip(values, np.float32(limits["min"]), np.float32(limits["max"]))
    return np.maximum(values, np.float32(0)) if kind == "Relu" else values


def _take(biased: _Biased, kept: Array) -> None:
    port = biased.convolution.input(1)
    put_constant(port, value_of(port.get_source_output())[kept])
    put_constant(biased.bias, value_of(biased.bias.get_source_output())[:, kept])


def _put_back(mean: ov.Node, kept: Array, left: Array, constants: Array) -> None:
    """The means of all channels again, in their order: what reads them stays as it is."""
    readers: Sequence[ov.Input] = list(mean.output(0).get_target_inputs())
    shape = [1, len(left)] + [1] * (len(mean.get_output_shape(0)) - 2)
    joined = ops.concat([mean, ops.constant(constants.reshape(shape))], axis=1)
    places = np.argsort(np.concatenate([kept, left]))
    ordered = ops.gather(joined, ops.constant(places), ops.constant(1))
    for reader in readers:
        reader.replace_source_output(ordered.output(0))
