"""Datatypes of KServe v2: their NumPy dtypes, their fields for typed values, and the encoding of BYTES."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The dtype of each datatype with a fixed size. NumPy has no dtype for BF16."""

DATATYPES: Mapping[np.dtype[Any], str] = {dtype: name for name, dtype in DTYPES.items()}
"""The datatype of each dtype."""

CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of ``InferTensorContents`` for the typed values of each datatype. FP16 has no field."""

_LENGTH_BYTES = 4
TOO_MANY_ELEMENTS = 2**64
"""More than any tensor can have: sizes beyond ``size_t``."""


def element_count(shape: Sequence[int]) -> int:
    """The product of the sizes, :data:`TOO_MANY_ELEMENTS` at most: a longer product of many sizes takes seconds."""
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count >= TOO_MANY_ELEMENTS:
            return TOO_MANY_ELEMENTS
    return count


def split_elements(data: memoryview, most: int | None = None) -> list[bytes]:
    """The elements of a BYTES tensor. The length of each element comes before it, in 4 bytes, little endian.

    Raises :class:`ValueError` if the last element is cut off, or if there are more than ``most``.
    """
    elements: list[bytes] = []
    position = 0
    while position < len(data):
        if len(elements) == most:
            raise ValueError(f"more than {most} elements")
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(data[position:start], "little")
        if position > len(data):
            raise ValueError(f"cut off after {len(elements)} elements")
        elements.append(bytes(data[start:position]))
    return elements


def join_elements(elements: Iterable[bytes]) -> bytes:
    """The bytes of a BYTES tensor with these elements."""
    return b"".join(len(element).to_bytes(_LENGTH_BYTES, "little") + element for element in elements)
