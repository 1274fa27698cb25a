"""KServe's datatype names and NumPy's dtypes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.errors import ProtocolError

# BF16 has no NumPy dtype: its bits are given as uint16.
_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = frozenset(_DTYPES)
"""Fixed-size datatypes; ``BYTES`` is the only other one."""


def dtype_of(datatype: str) -> np.dtype[Any]:
    """NumPy's dtype for KServe's ``datatype``; raises :class:`ProtocolError` for an unknown one."""
    try:
        return _DTYPES[datatype]
    except KeyError:
        raise ProtocolError(f"datatype {datatype!r} is not one of KServe v2's") from None


def tensor_from_bytes(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> npt.NDArray[Any]:
    """A read-only view on ``data`` of that shape, or an object array for ``BYTES``.

    Raises :class:`ProtocolError` where the bytes do not fit the shape.
    """
    if any(size < 0 for size in shape):
        raise ProtocolError(f"tensor {name!r} has a negative dimension: {list(shape)}")
    count = math.prod(shape)
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


def _bytes_tensor(name: str, shape: Sequence[int], count: int, data: memoryview) -> npt.NDArray[Any]:
    """``BYTES``: each element is preceded by its length, 4 bytes, little endian."""
    elements: list[bytes] = []
    position = 0
    while position < len(data):
        end = position + 4
        size = int.from_bytes(data[position:end], "little")
        if end > len(data) or end + size > len(data):
            raise ProtocolError(f"tensor {name!r} of BYTES is cut off after {len(elements)} elements")
        elements.append(bytes(data[end : end + size]))
        position = end + size
    if len(elements) != count:
        raise ProtocolError(f"tensor {name!r} of BYTES {list(shape)} has {len(elements)} elements, not {count}")
    array = np.empty(count, dtype=object)
    array[:] = elements
    return in_shape(name, array, shape)


def in_shape(name: str, array: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """``array`` in that shape, not copied; raises :class:`ProtocolError` for one that NumPy cannot hold."""
    try:
        return array.reshape(tuple(shape))
    except (ValueError, OverflowError) as error:
        raise ProtocolError(
            f"tensor {name!r} has a shape of {len(shape)} dimensions that cannot be: {error}"
        ) from error


def bytes_of(datatype: str, array: npt.NDArray[Any]) -> memoryview | bytes:
    """The raw bytes of a tensor: a view where ``array`` is contiguous, one copy where it is not."""
    if datatype == "BYTES":
        items = [item if isinstance(item, bytes) else str(item).encode() for item in array.reshape(-1)]
        return b"".join(len(item).to_bytes(4, "little") + item for item in items)
    contiguous = np.ascontiguousarray(array, dtype=dtype_of(datatype))
    return contiguous.reshape(-1).view(np.uint8).data
