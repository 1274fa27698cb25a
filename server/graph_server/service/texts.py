"""Texts as inputs and outputs of a model: ``BYTES`` on the wire, strings or rows of bytes in OpenVINO.

Source: src/predict_request_validation_utils.hpp, src/kfs_frontend/validation.cpp, src/tensor_conversion.hpp,
src/kfs_frontend/serialization.cpp.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graph_server.models.description import TensorInfo
from graph_server.service.status import Refusal, UnmappedRefusal
from kserve_wire.datatypes import element_count, join_elements, split_elements
from kserve_wire.messages import ModelInferRequest

MOST_TEXTS = 1 << 17
"""Texts of one input. Each takes at least 14 µs and 50 bytes here, and four bytes on the wire. OVMS allows 2**25."""
MOST_ROW_BYTES = 1 << 28
"""Bytes of texts as rows, each as long as the longest. OVMS allows 2**30."""
_TOO_LARGE = "Maximum 2D array after string conversion exceeded 1GB"
_SUFFIX = "_string"
_LENGTH_BYTES = 4


def as_objects(shape: Sequence[int], texts: Sequence[bytes]) -> npt.NDArray[Any]:
    """Texts as an array of ``bytes`` objects; raises :class:`Refusal` for a shape with another number of elements."""
    values = np.empty(len(texts), object)
    values[:] = texts
    return values.reshape(tuple(shape))


def are_rows(info: TensorInfo) -> bool:
    """Whether an input takes texts as rows of bytes, padded with zeros."""
    return info.datatype == "UINT8" and len(info.shape) == 2


def leave_as_texts(info: TensorInfo) -> bool:
    """Whether the rows of an output are texts: its name says so."""
    return are_rows(info) and info.name.endswith(_SUFFIX)


def texts_of(item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> list[bytes]:
    """The texts of a ``BYTES`` input; raises :class:`Refusal`."""
    if raw is None:
        if len(item.contents.bytes_contents) > MOST_TEXTS:
            raise UnmappedRefusal(_TOO_LARGE)
        return list(item.contents.bytes_contents)
    if _has_more(raw, MOST_TEXTS):
        raise UnmappedRefusal(_TOO_LARGE)
    try:
        return split_elements(raw)
    except ValueError as error:
        raise Refusal("Inputs inside buffer does not match expected format.") from error


def _has_more(raw: memoryview, most: int) -> bool:
    count = position = 0
    while position < len(raw) and count <= most:
        position += _LENGTH_BYTES + int.from_bytes(raw[position : position + _LENGTH_BYTES], "little")
        count += 1
    return count > most


def check_count(info: TensorInfo, shape: Sequence[int], texts: Sequence[bytes]) -> None:
    """Refuse another number of texts than the shape has elements."""
    expected = element_count(shape)
    if expected != len(texts):
        details = f"Expected: {expected} values; Actual: {len(texts)} values; input name: input name: {info.name}"
        raise Refusal("Invalid number of values in tensor proto container", details)


def as_rows(
    info: TensorInfo, item: ModelInferRequest.InferInputTensor, texts: Sequence[bytes]
) -> npt.NDArray[np.uint8]:
    """Texts as an array [texts, longest and a zero]; raises :class:`Refusal`."""
    if len(item.shape) != 1:
        details = f"Expected number of input shape dimensions: 1; Actual: {len(item.shape)}; "
        raise Refusal("Invalid number of shape dimensions", f"{details}input name: input name: {info.name}")
    width = max(map(len, texts), default=0) + 1
    if not texts or item.shape[0] != len(texts):
        raise Refusal("Invalid input batch size")
    if width * len(texts) > MOST_ROW_BYTES:
        raise UnmappedRefusal(_TOO_LARGE)
    rows = np.zeros((len(texts), width), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    return rows


def check_rows(info: TensorInfo, item: ModelInferRequest.InferInputTensor, rows: npt.NDArray[np.uint8]) -> None:
    """Refuse rows that do not fit the input."""
    batch, width = info.shape
    where = f"input name: input name: {info.name}"
    if batch not in (-1, len(rows)):
        # OVMS names the number of typed contents, also where there are none.
        details = f"Expected: {batch}; Actual: {len(item.contents.bytes_contents)}; {where}"
        raise Refusal("Invalid input batch size", details)
    if width not in (-1, rows.shape[1]):
        raise Refusal(
            "Invalid input shape",
            f"Expected batch size: {batch}; got: {len(rows)}; "
            f"Expected max null terminated string length: {width}; got: {rows.shape[1]}; {where}",
        )


def rows_as_bytes(rows: npt.NDArray[np.uint8]) -> bytes:
    """The rows of an output as a ``BYTES`` tensor: each text ends at its first zero."""
    return join_elements(row.tobytes().partition(b"\0")[0] for row in rows)
