"""Tensors to bytes and bytes to tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kserve_wire.datatypes import DTYPES, element_count, join_elements, split_elements
from stream_client.errors import ProtocolError

_DTYPES: Mapping[str, np.dtype[Any]] = {**DTYPES, "BF16": np.dtype("<u2")}  # its bits, for lack of a dtype
DATATYPES = frozenset(_DTYPES)
"""Fixed-size datatypes; ``BYTES`` is the only other one."""
MAX_DIMENSIONS = 64
"""NumPy's own bound, from its version 2 on."""
MAX_ELEMENTS = 1 << 20
"""Of a tensor of BYTES. An element takes a Python object, 33 bytes, and may have only 4 bytes on the wire."""


def dtype_of(datatype: str) -> np.dtype[Any]:
    """NumPy's dtype for KServe's ``datatype``; raises :class:`.ProtocolError` for an unknown one."""
    try:
        return _DTYPES[datatype]
    except KeyError:
        raise ProtocolError(f"datatype {datatype!r} is not one of KServe v2's") from None


def tensor_from_bytes(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> npt.NDArray[Any]:
    """A read-only view on ``data`` of that shape, or an object array for ``BYTES``.

    Raises :class:`.ProtocolError` where the bytes do not fit the shape.
    """
    check_shape(name, shape)
    count = element_count(shape)
    if datatype == "BYTES":
        return _bytes_tensor(name, shape, count, data)
    dtype = dtype_of(datatype)
    if count * dtype.itemsize != len(data):
        raise ProtocolError(
            f"tensor {name!r} of {datatype} {list(shape)} needs {count * dtype.itemsize} bytes, got {len(data)}"
        )
    array = in_shape(name, np.frombuffer(data, dtype=dtype), shape)
    array.flags.writeable = False
    return array


def check_shape(name: str, shape: Sequence[int]) -> None:
    """Raise :class:`.ProtocolError` for a shape that no tensor has."""
    if len(shape) > MAX_DIMENSIONS:
        raise ProtocolError(f"tensor {name!r} has {len(shape)} dimensions: {MAX_DIMENSIONS} at most")
    if any(size < 0 for size in shape):
        raise ProtocolError(f"tensor {name!r} has a negative dimension: {list(shape)}")


def _bytes_tensor(name: str, shape: Sequence[int], count: int, data: memoryview) -> npt.NDArray[Any]:
    if count > MAX_ELEMENTS:
        raise ProtocolError(f"tensor {name!r} of BYTES has {count} elements: {MAX_ELEMENTS} at most")
    try:
        elements = split_elements(data, MAX_ELEMENTS)
    except ValueError as error:
        raise ProtocolError(f"tensor {name!r} of BYTES is {error}") from error
    if len(elements) != count:
        raise ProtocolError(f"tensor {name!r} of BYTES {list(shape)} has {len(elements)} elements, not {count}")
    array = np.empty(count, dtype=object)
    array[:] = elements
    return in_shape(name, array, shape)


def in_shape(name: str, array: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """``array`` in that shape, not copied; raises :class:`.ProtocolError` for one that NumPy cannot hold."""
    try:
        return array.reshape(tuple(shape))
    except (ValueError, OverflowError) as error:
        raise ProtocolError(
            f"tensor {name!r} has a shape of {len(shape)} dimensions that cannot be: {error}"
        ) from error


def bytes_of(datatype: str, array: npt.NDArray[Any]) -> memoryview | bytes:
    """The raw bytes of a tensor: a view where ``array`` is contiguous, one copy where it is not."""
    if datatype == "BYTES":
        return join_elements(item if isinstance(item, bytes) else str(item).encode() for item in array.reshape(-1))
    contiguous = np.ascontiguousarray(array, dtype=dtype_of(datatype))
    return contiguous.reshape(-1).view(np.uint8).data
