"""Tensors of OpenVINO from and to arrays, also those of texts: OpenVINO has no view of these."""

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov


def tensor_of(value: npt.NDArray[Any]) -> npt.NDArray[Any] | ov.Tensor:
    """What OpenVINO takes of an array: numbers as they are, of ``bytes`` objects a tensor of texts."""
    if value.dtype != object:
        return value
    tensor = ov.Tensor(ov.Type.string, ov.Shape(value.shape))
    if value.size:
        tensor.bytes_data = value.reshape(-1).tolist()
    return tensor


def array_of(tensor: ov.Tensor) -> npt.NDArray[Any]:
    """A copy of a tensor: numbers, or an array of ``bytes`` objects."""
    if tensor.get_element_type() != ov.Type.string:
        return np.array(tensor.data)
    texts = np.empty(tuple(tensor.get_shape()), object)
    if not texts.ndim:
        texts[()] = bytes(tensor.bytes_data.flat[0])
        return texts
    # One by one: all at once they would each be as long as the longest. And beside another one, for of an empty text
    # alone OpenVINO leaves the only byte of its array as it was.
    pair = ov.Tensor(ov.Type.string, ov.Shape([2] + [1] * (texts.ndim - 1)))
    pair.bytes_data = [b"..", b""]
    second = _part(pair, (1, *[0] * (texts.ndim - 1)))
    for place in np.ndindex(*texts.shape):
        _part(tensor, place).copy_to(second)
        texts[place] = bytes(pair.bytes_data.flat[1])
    return texts


def _part(tensor: ov.Tensor, place: tuple[int, ...]) -> ov.Tensor:
    """One element, as a tensor."""
    return ov.Tensor(tensor, ov.Coordinate(place), ov.Coordinate([index + 1 for index in place]))
